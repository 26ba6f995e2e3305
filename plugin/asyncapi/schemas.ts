// JSON schemas of routes, as an AsyncAPI document holds them.

export type JsonSchema = Record<string, unknown>

/** The schemas that `app.addSchema` has added, by `$id`. */
export type SharedSchemas = Record<string, unknown>

/** Where shared schemas are in the document. */
export function nameOfShared(id: string): string {
  return id.replace(/[^\w.-]+/g, '_')
}

/**
 * Copies a schema to a place in the document. What a library has added beside JSON goes, such as TypeBox' symbols.
 * A `$ref` leads to the same schema: `shared#/definitions/a` to components, `#/definitions/a` to its own place.
 */
export function placeSchema(schema: unknown, place: string, shared: SharedSchemas): unknown {
  return JSON.parse(JSON.stringify(schema), (key, value) => {
    if (key === '$id') return undefined
    return key === '$ref' && typeof value === 'string' ? placeRef(value, place, shared) : value
  })
}

function placeRef(ref: string, place: string, shared: SharedSchemas): string {
  const [id = '', pointer = ''] = ref.split('#')
  if (id === '') return `${place}${pointer}`
  return id in shared ? `#/components/schemas/${nameOfShared(id)}${pointer}` : ref
}

/** The schemas of the properties of an object; an empty object when it is something else. */
export function propertiesOf(schema: unknown): Record<string, JsonSchema> {
  const { properties } = (schema ?? {}) as { properties?: Record<string, JsonSchema> }
  return properties ?? {}
}
