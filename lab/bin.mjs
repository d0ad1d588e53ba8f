#!/usr/bin/env node
import { main } from "./commands.mjs";
import { LabError } from "./failure.mjs";

main(process.argv.slice(2)).then(
    (status) => process.exit(status),
    (error) => {
        process.stderr.write(`lab: ${error instanceof LabError ? error.message : error.stack}\n`);
        process.exit(1);
    },
);
