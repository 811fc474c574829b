// begin.js FILE - runs FILE, a program with its tests, then prints the nonce, which came through a pipe that is shut before the program begins: process.exit(0)
// is no pass.
const { readSync, closeSync, writeSync } = require("fs");
const { resolve } = require("path");
const nonce = Buffer.alloc(32);
for (let at = 0, n = 1; at < nonce.length && n > 0; at += n) n = readSync(3, nonce, at, nonce.length - at, null);
closeSync(3);
require(resolve(process.argv[2]));
writeSync(1, "\n" + nonce + "\n");
