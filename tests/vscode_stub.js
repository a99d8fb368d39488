// SPDX-License-Identifier: Apache-2.0
// Runs the extension with a stub of VS Code, whose client starts the server and asks it to initialize.
const Module = require("module");
const { spawn } = require("child_process");

const SETTINGS = { command: JSON.parse(process.env.COMMAND), flavour: "pytorch" };

class LanguageClient {
  constructor(id, server, client) {
    Object.assign(this, { id, server, client });
  }
  start() {
    this.child = spawn(this.server.command, this.server.args, { stdio: ["pipe", "pipe", "inherit"] });
    const params = { capabilities: {}, initializationOptions: this.client.initializationOptions };
    const body = JSON.stringify({ jsonrpc: "2.0", id: 1, method: "initialize", params });
    this.child.stdin.write(`Content-Length: ${Buffer.byteLength(body)}\r\n\r\n${body}`);
    return new Promise((resolve) => this.child.stdout.once("data", (data) => resolve(data.toString())));
  }
  stop() {
    this.child.stdin.end();
  }
}

const stubs = {
  vscode: {
    workspace: {
      getConfiguration: (section) => ({ ...SETTINGS, section, get: (name) => SETTINGS[name] }),
      createFileSystemWatcher: (pattern) => ({ pattern }),
    },
  },
  "vscode-languageclient/node": { LanguageClient },
};
const load = Module._load;
Module._load = (name, ...rest) => stubs[name] ?? load(name, ...rest);

const extension = require(process.env.EXTENSION);
extension.activate().then((answer) => {
  console.log(answer);
  extension.deactivate();
});
