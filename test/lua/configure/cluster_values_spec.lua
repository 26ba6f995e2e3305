local ClusterValues = require "framegate.configure.cluster_values"

it("a name is short, and fits into a key", function()
  for _, text in ipairs { "framegate", "a.b-c_1", ("n"):rep(64) } do
    assert.are.equal(text, ClusterValues.name(text))
  end
  for _, text in ipairs { "", "a b", "a:b", "a/b", "ä", ("n"):rep(65) } do
    local value, expected = ClusterValues.name(text)
    assert.is_nil(value, text)
    assert.matches("a name of at most 64", expected)
  end
end)

it("headers are a list of names, or none", function()
  assert.are.same({ "cookie", "x-a" }, ClusterValues.headers "Cookie, X-A")
  assert.are.same({}, ClusterValues.headers "off")
  for _, text in ipairs { ",", "a:b", '"', "ü" } do
    local value, expected = ClusterValues.headers(text)
    assert.is_nil(value, text)
    assert.matches("names of headers", expected)
  end
end)
