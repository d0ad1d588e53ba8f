import { readFileSync } from "node:fs";
import type { Command } from "./command";
import { declarationsIn } from "./declared";
import { Usage } from "./host";
import { shellScript } from "./shellScript";
import { exportOfStack } from "./stack";

/** The commands that a stack stands for. Opens no connection. */
export const script: Command = {
    usage:
        "    lvs script [FILE | -]                       the commands that a stack stands for, as a shell script to review;\n" +
        "                                                FILE or standard input: from `pulumi preview --json` or `stack export`",
    async run([file, ...more], values) {
        if (more.length > 0) throw new Usage("lvs script: one FILE, - for standard input, or none for the stack");
        const stack = values["stack"];
        if (file !== undefined && stack !== undefined) throw new Usage("lvs script: FILE or --stack, not both");
        const text =
            file === undefined
                ? await exportOfStack(typeof stack === "string" ? stack : undefined)
                : readFileSync(file === "-" ? 0 : file, "utf8");
        process.stdout.write(shellScript(declarationsIn(text)));
        return 0;
    },
};
