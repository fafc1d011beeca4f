// The protocol of workers (docs/workers.md) in JavaScript, without a package: serve(configure, execute).
'use strict';

const fs = require('fs');

const REQUESTS = 3;
const RESPONSES = 4;

// Reads exactly `size` bytes from the requests; null at their end.
function read(size) {
  const bytes = Buffer.alloc(size);
  let position = 0;
  while (position < size) {
    const count = fs.readSync(REQUESTS, bytes, position, size - position, null);
    if (count === 0) return null;
    position += count;
  }
  return bytes;
}

function writeAll(bytes) {
  for (let position = 0; position < bytes.length;) {
    position += fs.writeSync(RESPONSES, bytes, position);
  }
}

// Returns a number that is not negative as a varint.
function varint(number) {
  const bytes = [];
  while (number >= 128) {
    bytes.push((number % 128) + 128);
    number = Math.floor(number / 128);
  }
  return Buffer.from([...bytes, number]);
}

// Returns a field of a message: a varint (type 0) or bytes (type 2).
function field(number, value) {
  if (typeof value === 'number') return Buffer.concat([varint(number * 8), varint(value)]);
  const bytes = Buffer.from(value);
  return Buffer.concat([varint(number * 8 + 2), varint(bytes.length), bytes]);
}

// Returns the fields of a message as [number, value] pairs. Requests have fields of the types 0 and 2 alone.
function fields(bytes) {
  const found = [];
  let position = 0;
  const number = () => {
    let value = 0;
    for (let factor = 1; ; factor *= 128) {
      const byte = bytes[position++];
      value += (byte % 128) * factor;
      if (byte < 128) return value;
    }
  };
  while (position < bytes.length) {
    const tag = number();
    if (tag % 8 === 0) {
      found.push([Math.floor(tag / 8), number()]);
    } else {
      const length = number();
      found.push([Math.floor(tag / 8), bytes.subarray(position, (position += length))]);
    }
  }
  return found;
}

const first = (message, number) => message.find(([found]) => found === number)?.[1];
const all = (message, number) => message.filter(([found]) => found === number).map(([, value]) => value);
const text = (bytes) => (bytes ?? Buffer.alloc(0)).toString();

// Returns the variables of a map of texts.
function variables(message, number) {
  return Object.fromEntries(all(message, number).map(fields).map((entry) => [text(first(entry, 1)), text(first(entry, 2))]));
}

function send(...parts) {
  const message = Buffer.concat(parts);
  writeAll(Buffer.concat([varint(message.length), message]));
}

// Calls a function with the environment of a request, and restores environment and working directory.
function withEnvironment(env, call) {
  const [before, folder] = [{ ...process.env }, process.cwd()];
  Object.assign(process.env, env);
  try {
    return call();
  } finally {
    for (const name of Object.keys(process.env)) {
      if (!(name in before)) delete process.env[name];
    }
    Object.assign(process.env, before);
    process.chdir(folder);
  }
}

// Serves requests until they end.
//
// configure(refs) returns configurations: { outputs, materialize, args }, each a list of texts.
// execute(args) does the work. An exception is printed, and fails the run.
function serve(configure, execute) {
  send(field(40, field(1, 1)));
  for (let byte; (byte = read(1)) !== null;) {
    const prefix = [byte[0]];
    while (prefix[prefix.length - 1] >= 128) prefix.push(read(1)[0]);
    const length = prefix.reduceRight((value, part) => value * 128 + (part % 128), 0);
    const request = fields(read(length));
    const id = field(1, first(request, 1));
    const [toConfigure, toExecute] = [first(request, 2), first(request, 3)];
    try {
      if (toConfigure !== undefined) {
        const message = fields(toConfigure);
        const refs = all(message, 1).map((ref) => text(first(fields(ref), 1)));
        const configs = withEnvironment(variables(message, 40), () => configure(refs));
        send(id, field(2, Buffer.concat(configs.map((config) => field(1, encoded(config))))));
      } else {
        const message = fields(toExecute);
        send(id, field(3, field(1, run(execute, all(message, 1).map(text), variables(message, 2)))));
      }
    } catch (error) {
      send(id, field(4, Buffer.concat([field(1, 1), field(2, `failed: ${error.message}`)])));
    }
  }
}

function run(execute, args, env) {
  return withEnvironment(env, () => {
    try {
      execute(args);
      return 0;
    } catch (error) {
      fs.writeSync(2, `${error.stack}\n`);
      return 1;
    }
  });
}

function encoded({ outputs, materialize = [], args = [] }) {
  return Buffer.concat([
    ...outputs.map((ref) => field(1, field(1, ref))),
    ...materialize.map((ref) => field(2, Buffer.concat([field(1, 1), field(3, field(1, ref))]))),
    ...args.map((arg) => field(3, arg)),
  ]);
}

module.exports = { serve };
