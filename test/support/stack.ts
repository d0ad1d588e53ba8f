/** A Pulumi stack on the real engine: Automation API, inline program, local file backend, all in a directory of its own. */
import { execFileSync } from "node:child_process";
import { cpSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { dirname, join } from "node:path";
import { LocalWorkspace, type OpMap, type PulumiFn, type Stack } from "@pulumi/pulumi/automation";
import { root } from "./lab";

export interface TestStack {
    stack: Stack;
    /** The directory of the project, with its state. */
    directory: string;
    /** Another program for the same stack. */
    use(program: PulumiFn): Promise<void>;
    /** What an operation would do or did, without the unchanged: `{ create: 2, update: 1 }`. */
    preview(options?: { refresh?: boolean }): Promise<Summary>;
    up(options?: { refresh?: boolean; replace?: string[]; diff?: boolean }): Promise<Summary>;
    refresh(): Promise<Summary>;
    destroy(): Promise<Summary>;
    /** All that the engine has said so far, errors included. */
    said(): string;
    /** The text of the state file. */
    state(): string;
    /** The state as `pulumi stack export` shows it: secrets encrypted. */
    exported(): string;
    /** Runs the CLI in the project's directory; returns its output. */
    cli(...words: string[]): string;
    /** Destroys what is left and removes the directory. */
    remove(): Promise<void>;
}

export interface Summary {
    changes: OpMap;
    output: string;
}

export interface StackOptions {
    program: PulumiFn;
    project?: string;
    name?: string;
    config?: Record<string, string>;
    /** A directory whose files are the project's (Pulumi.yaml, Pulumi.<stack>.yaml): copied. Its name is the project's. */
    from?: string;
    /** Another stack of the same project, in the same backend. */
    beside?: TestStack;
    /** Where the project's directory is made: from there `pulumi-lvs` resolves. Default: inside the checkout. */
    under?: string;
}

export async function makeStack(options: StackOptions): Promise<TestStack> {
    const under = options.under ?? join(root, "node_modules", ".cache", "pulumi-lvs", "stacks");
    mkdirSync(under, { recursive: true });
    const directory = options.beside?.directory ?? mkdtempSync(join(under, "stack-"));
    const state = join(directory, ".state");
    mkdirSync(state, { recursive: true });
    if (options.from !== undefined) {
        for (const file of readdirSync(options.from)) {
            if (/^Pulumi\..*yaml$/.test(file)) cpSync(join(options.from, file), join(directory, file));
        }
        // The engine looks whether `main` is there, also where the program runs inline.
        const main = /^main: *(\S+)/m.exec(readFileSync(join(options.from, "Pulumi.yaml"), "utf8"))?.[1];
        if (main !== undefined) {
            mkdirSync(dirname(join(directory, main)), { recursive: true });
            cpSync(join(options.from, main), join(directory, main));
        }
    }
    const name = options.name ?? "test";
    const project = options.project ?? (options.from === undefined ? "test" : projectName(options.from));
    const settings = {
        workDir: directory,
        pulumiHome: join(directory, ".home"),
        envVars: {
            PULUMI_BACKEND_URL: `file://${state}`,
            PULUMI_CONFIG_PASSPHRASE: "test",
            ...pulumiEnvironment(),
        },
    };
    // The Automation API's own look for the CLI uses this process's PATH.
    process.env["PATH"] = settings.envVars.PATH;
    const make = (program: PulumiFn) =>
        LocalWorkspace.createOrSelectStack({ stackName: name, projectName: project, program }, settings);
    const stack = await make(options.program);
    // An emulated host on a busy machine may need minutes for what a real one does in a second.
    const config = { "lvs:commandTimeout": "300", ...options.config };
    await stack.setAllConfig(
        Object.fromEntries(Object.entries(config).map(([key, value]) => [key, { value, secret: key === "lvs:hosts" }])),
    );
    let program = options.program;
    let said = "";
    const collect = async (
        run: (onOutput: (text: string) => void) => Promise<{ changes: OpMap }>,
    ): Promise<Summary> => {
        let output = "";
        try {
            const { changes } = await run((text) => {
                output += text;
                said += text;
            });
            return { changes: without(changes, "same"), output };
        } catch (error) {
            said += (error as Error).message;
            // The API's message repeats the output in parts; the whole of it is what a user sees.
            throw Object.assign(error as Error, { output });
        }
    };
    const changesOf = (summary: { resourceChanges?: OpMap }): { changes: OpMap } => ({
        changes: summary.resourceChanges ?? {},
    });
    const self: TestStack = {
        stack,
        directory,
        async use(other) {
            program = other;
        },
        preview: (more = {}) =>
            collect(async (onOutput) => {
                const result = await stack.preview({ ...more, program, onOutput, diff: true, color: "never" });
                return { changes: result.changeSummary };
            }),
        up: (more = {}) =>
            collect(async (onOutput) =>
                changesOf((await stack.up({ ...more, program, onOutput, color: "never" })).summary),
            ),
        refresh: () =>
            collect(async (onOutput) => changesOf((await stack.refresh({ onOutput, color: "never" })).summary)),
        destroy: () =>
            collect(async (onOutput) => changesOf((await stack.destroy({ onOutput, color: "never" })).summary)),
        exported: () => self.cli("stack", "export", "--stack", name),
        cli: (...words) =>
            execFileSync("pulumi", words, {
                cwd: directory,
                env: { ...process.env, ...settings.envVars, PULUMI_HOME: settings.pulumiHome },
                encoding: "utf8",
                stdio: ["ignore", "pipe", "pipe"],
            }),
        said: () => said,
        state: () => readFileSync(join(state, ".pulumi", "stacks", project, `${name}.json`), "utf8"),
        async remove() {
            rmSync(directory, { recursive: true, force: true });
        },
    };
    return self;
}

function projectName(directory: string): string {
    const text = readFileSync(join(directory, "Pulumi.yaml"), "utf8");
    return /^name: (\S+)$/m.exec(text)?.[1] ?? "test";
}

function without(changes: OpMap, name: "same"): OpMap {
    return Object.fromEntries(Object.entries(changes).filter(([each, count]) => each !== name && count !== 0));
}

/** PATH with the CLI that the set-up made ready. */
export function pulumiEnvironment(): { PATH: string; PULUMI_SKIP_UPDATE_CHECK: string } {
    const script = `import("${join(root, "tools", "setup.mjs")}").then((m) => console.log(JSON.stringify(m.pulumiEnv())))`;
    return JSON.parse(execFileSync(process.execPath, ["-e", script], { encoding: "utf8" }));
}
