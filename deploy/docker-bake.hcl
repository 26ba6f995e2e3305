# The images of the gateway and of the included handler, for amd64 and arm64. CONTRIBUTING.md, "Publish", has the commands.

variable "REGISTRY" {
  default = "registry.example"
}

variable "TAG" {
  default = "latest"
}

group "default" {
  targets = ["gateway", "handler"]
}

target "image" {
  context   = "."
  platforms = ["linux/amd64", "linux/arm64"]
  attest    = ["type=provenance,mode=max", "type=sbom"]
}

target "gateway" {
  inherits   = ["image"]
  dockerfile = "nginx/Dockerfile"
  tags       = ["${REGISTRY}/framegate-gateway:${TAG}"]
}

target "handler" {
  inherits   = ["image"]
  dockerfile = "handler/Dockerfile"
  tags       = ["${REGISTRY}/framegate-handler:${TAG}"]
}
