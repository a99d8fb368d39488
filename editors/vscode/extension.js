// SPDX-License-Identifier: Apache-2.0
// Starts the language server for AMCT's simplified configuration files.
const { workspace } = require("vscode");
const { LanguageClient } = require("vscode-languageclient/node");

let client;

function activate() {
  const settings = workspace.getConfiguration("amctcfg");
  const [command, ...args] = settings.get("command");
  client = new LanguageClient(
    "amctcfg",
    { command, args },
    {
      documentSelector: [{ language: "amctcfg" }],
      initializationOptions: settings,
      synchronize: {
        configurationSection: "amctcfg",
        fileEvents: workspace.createFileSystemWatcher("**/*.{pb,onnx,csv,json}"),
      },
    },
  );
  return client.start();
}

function deactivate() {
  return client?.stop();
}

module.exports = { activate, deactivate };
