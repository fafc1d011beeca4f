#!/usr/bin/env node
// A job in JavaScript: `letters/{word}` has the number of letters of a word, and `sum/{words}` the sum of several.
'use strict';

const { execFileSync } = require('child_process');
const fs = require('fs');
const path = require('path');
const { serve } = require('./worker.js');

const started = Date.now();

function configure(refs) {
  return refs.map((ref) => {
    const [kind, words] = ref.split('/');
    return {
      outputs: [ref],
      materialize: kind === 'sum' ? words.split('_').map((word) => `letters/${word}`) : [],
      args: [kind, words],
    };
  });
}

function execute([kind, words]) {
  if (words === 'fail') throw new Error('no such word');
  if (words === 'crash') process.kill(process.pid, 'SIGKILL');
  const folder = process.env.DATABUILD_DATA_ROOT;
  const numbers = words.split('_').map((word) =>
    kind === 'sum' ? Number(fs.readFileSync(path.join(folder, `letters-${word}`))) : word.length);
  fs.mkdirSync(folder, { recursive: true });
  fs.writeFileSync(path.join(folder, `${kind}-${words}`), `${numbers.reduce((sum, number) => sum + number)}\n`);
  fs.writeSync(1, `started ${started} ${kind} ${words}\n`);
  execFileSync('echo', [`a child prints ${words}`], { stdio: 'inherit' });
}

const [command, ...words] = process.argv.slice(2);
if (command === 'worker') {
  serve(configure, execute);
} else if (command === 'config') {
  const configs = configure(words).map(({ outputs, materialize, args }) => ({
    outputs: outputs.map((str) => ({ str })),
    inputs: materialize.map((str) => ({ dep_type_code: 'MATERIALIZE', partition_ref: { str } })),
    args,
  }));
  console.log(JSON.stringify({ configs }));
} else {
  execute(words);
}
