/** Programs as their users change them: by editing the text. */
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import type { PulumiFn } from "@pulumi/pulumi/automation";
import { transformSync } from "@swc/core";

/** What is to be found in the text, and what to write instead. */
export type Edit = [find: string | RegExp, write: string];

/** A program's text with edits; every edit must find something. */
export class ProgramText {
    private constructor(private readonly text: string) {}

    static of(file: string): ProgramText {
        return new ProgramText(readFileSync(file, "utf8"));
    }

    edited(...edits: Edit[]): ProgramText {
        let text = this.text;
        for (const [find, write] of edits) {
            const next = typeof find === "string" ? text.replaceAll(find, write) : text.replace(find, write);
            if (next === text) throw new Error(`nothing to edit for ${find} in:\n${text}`);
            text = next;
        }
        return new ProgramText(text);
    }

    /** The `program` that the text exports, run from a file in the directory, which must resolve its imports. */
    load(directory: string): PulumiFn {
        count += 1;
        const file = join(directory, `edited-${count}.js`);
        const { code } = transformSync(this.text, {
            configFile: false,
            swcrc: false,
            jsc: { parser: { syntax: "typescript" }, target: "es2022" },
            module: { type: "commonjs" },
        });
        writeFileSync(file, code);
        return (require(file) as { program: PulumiFn }).program;
    }
}

let count = 0;
