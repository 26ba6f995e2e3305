// What is published: the images of deploy/docker-bake.hcl. test/plugin/package.test.ts has the npm package.
import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { test } from 'node:test'
import { parse } from 'yaml'
import { files, project, read } from '../project/files.ts'

const noBuildx = spawnSync('docker', ['buildx', 'version']).status === 0 ? false : 'no docker buildx here'

test('the images are for amd64 and arm64, from the Dockerfiles of the project', { skip: noBuildx }, () => {
  const { status, stdout, stderr } = spawnSync(
    'docker',
    ['buildx', 'bake', '-f', 'deploy/docker-bake.hcl', '--print'],
    {
      cwd: project,
      encoding: 'utf8',
      env: { ...process.env, TAG: '0.1.0' },
    },
  )
  assert.equal(status, 0, stderr)
  const { group, target } = JSON.parse(stdout)
  assert.deepEqual(group.default.targets, Object.keys(target))
  const images: any[] = Object.values(target)
  assert.deepEqual(images.map(({ dockerfile }) => dockerfile).sort(), files('{nginx,handler}/Dockerfile').sort())
  for (const { context, platforms } of images)
    assert.deepEqual([context, platforms], ['.', ['linux/amd64', 'linux/arm64']])
  const [{ newName, newTag }] = parse(read('deploy/kubernetes/kustomization.yaml')).images
  assert.deepEqual(target.gateway.tags, [`${newName}:${newTag}`])
})
