/** The fixtures are the bridge to the Python tests: both sides hold them against the one contract. */

import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'

import Ajv2020 from 'ajv/dist/2020'
import addFormats from 'ajv-formats'
import { expect, test } from 'vitest'

const ROOT = join(import.meta.dirname, '..', '..')
const FIXTURES = join(ROOT, 'tests', 'fixtures', 'api')
const document = JSON.parse(readFileSync(join(ROOT, 'docs', 'openapi.json'), 'utf8')) as {
  paths: Record<string, { get: { responses: Record<string, unknown> } }>
}

// The document has words of its own (`example`, `discriminator`) beside those of JSON Schema.
const ajv = addFormats(new Ajv2020({ strict: false, allErrors: true })).addSchema(document, 'api')
const JOB = 'paths/~1ai-video/get/responses/200/content/application~1json/schema'

function schemaOf(name: string): string {
  if (name.startsWith('problem_')) return 'components/schemas/ProblemBody'
  if (name.startsWith('request_')) return 'components/schemas/VideoRequest'
  if (name.startsWith('completion_')) return 'components/schemas/CompletionBody'
  return name.startsWith('dry_run') ? 'components/schemas/DryRunView' : JOB
}

const names = readdirSync(FIXTURES)
  .filter((file) => file.endsWith('.json'))
  .map((file) => file.replace('.json', ''))

test('there are fixtures', () => {
  expect(names.length).toBeGreaterThan(10)
})

test.each(names)('%s is what the contract says', (name) => {
  const validate = ajv.getSchema(`api#/${schemaOf(name)}`)
  validate?.(JSON.parse(readFileSync(join(FIXTURES, `${name}.json`), 'utf8')))

  expect(validate).toBeDefined()
  expect(validate?.errors ?? []).toEqual([])
})
