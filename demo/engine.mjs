/** The Pulumi stack of the demo: the real CLI through the Automation API, its state in a directory that goes with it. */
import { mkdirSync, mkdtempSync, rmSync } from "node:fs";
import { createRequire, Module } from "node:module";
import { join } from "node:path";
import { local } from "../tools/setup/places.mjs";
import { Problem } from "../tools/setup/problem.mjs";
import { pulumiEnv } from "../tools/setup.mjs";

const require = createRequire(import.meta.url);

/**
 * @typedef {object} Summary
 * @property {Record<string, number>} changes what was or would be done, the unchanged left out
 * @property {string} output what a person sees
 */

/**
 * Makes a stack of a program.
 * @param {string} directory the example, with its index.ts
 * @param {AbortSignal} signal ends the operation that is under way, as Ctrl-C does
 */
export async function openStack(directory, signal) {
    // Below node_modules, so that `pulumi-lvs` and `@pulumi/pulumi` are found from there.
    mkdirSync(local, { recursive: true });
    const workDir = mkdtempSync(join(local, "demo-"));
    const clean = () => rmSync(workDir, { recursive: true, force: true });
    process.once("exit", clean);
    return open(directory, workDir, signal, clean);
}

/** @param {string} directory @param {string} workDir @param {AbortSignal} signal @param {() => void} clean */
async function open(directory, workDir, signal, clean) {
    const { LocalWorkspace } = require("@pulumi/pulumi/automation");
    const program = loadProgram(join(directory, "index.ts"));
    const state = join(workDir, "state");
    mkdirSync(state);
    const envVars = {
        ...pulumiEnv(),
        PULUMI_BACKEND_URL: `file://${state}`,
        PULUMI_CONFIG_PASSPHRASE: "demo",
    };
    // The Automation API looks for the CLI on this process's PATH.
    process.env.PATH = envVars.PATH;
    const stack = await LocalWorkspace.createStack(
        { stackName: "demo", projectName: "demo", program },
        { workDir, pulumiHome: join(workDir, "home"), envVars },
    );

    /** @type {Promise<unknown>} */
    let underWay = Promise.resolve();

    /**
     * Runs an operation; what it prints is kept as a person would see it.
     * @param {"preview" | "up" | "refresh" | "destroy"} verb
     * @param {object} [options]
     * @returns {Promise<Summary>}
     */
    async function run(verb, options = {}) {
        let output = "";
        const onOutput = (text) => {
            output += text;
        };
        try {
            const running = stack[verb]({ ...options, color: "never", onOutput, onError: onOutput, signal });
            underWay = running.catch(() => {});
            const result = await running;
            const changes = result.changeSummary ?? result.summary.resourceChanges ?? {};
            return {
                changes: Object.fromEntries(Object.entries(changes).filter(([name, n]) => name !== "same" && n > 0)),
                output: readable(output),
            };
        } catch (error) {
            throw new Problem(`pulumi ${verb} failed:\n${output || error.message}`);
        }
    }

    return {
        run,
        /** Waits for what is under way, and leaves nothing. */
        async remove() {
            await underWay;
            clean();
        },
        /** Config that is no secret here: keys are files, and the lab's. @param {Record<string, unknown>} values */
        async configure(values) {
            const settings = await stack.workspace.stackSettings("demo");
            await stack.workspace.saveStackSettings("demo", { ...settings, config: { ...settings.config, ...values } });
        },
    };
}

/**
 * Without the lines that say nothing on paper: dots that show progress, "creating" before "created", the advice to
 * remove a stack.
 * @param {string} output
 */
function readable(output) {
    return output
        .split("\n")
        .filter(
            (line) =>
                !/^@ |^ .*(creating|updating|deleting|refreshing) \(0s\)|^The resources in the stack|^If you want/.test(
                    line,
                ),
        )
        .map((line) => line.replace(/^@ .*?\.\.\.\.+ ?/, ""))
        .filter((line) => line.trim() !== "")
        .join("\n");
}

/**
 * The function that a program exports. It is TypeScript, as a user writes it: compiled as it is loaded.
 * @param {string} file
 */
function loadProgram(file) {
    const { transformFileSync } = require("@swc/core");
    Module._extensions[".ts"] ??= (module, path) => {
        const jsc = { parser: { syntax: "typescript" }, target: "es2022" };
        module._compile(transformFileSync(path, { jsc, module: { type: "commonjs" }, swcrc: false }).code, path);
    };
    const exported = require(file);
    return typeof exported === "function" ? exported : exported.program;
}
