// The frames of frames.test.ts, read and written by ngx_lua alone.

process.env.DIRECT_IO = 'off'
await import('./frames.test.ts')
