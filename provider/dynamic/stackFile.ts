/** What the files of a stack say now, beside the configuration that the engine has saved. */
import { readFileSync } from "node:fs";
import { join } from "node:path";

/**
 * A plain setting of a stack, `organization/project/stack`, as its `Pulumi.<stack>.yaml` has it; value undefined: it is
 * not set. Undefined where there is no such file of this project, where it does not say it in clear, or where another
 * source may: an environment of Pulumi ESC, or a file that was named to the engine.
 */
export function settingNow(stack: string, key: string): { value: string | undefined } | undefined {
    const [, project, name] = stack.split("/");
    const engine = engineProcess();
    const isNamed = engine !== undefined && /\0--config-file[\0=]/.test(textOf(`${engine}/cmdline`) ?? "");
    if (project === undefined || name === undefined || isNamed) return undefined;
    for (const directory of projectDirectories(engine)) {
        const ofProject = withoutComments(textOf(join(directory, "Pulumi.yaml")));
        const ofStack = withoutComments(textOf(join(directory, `Pulumi.${name}.yaml`)));
        if (ofProject === undefined || ofStack === undefined || nameIn(ofProject) !== project) continue;
        const line = new RegExp(`^ +["']?${key}["']?: *["']?([A-Za-z0-9.]+)["']?\\s*$`, "m").exec(ofStack);
        if (line !== null) return { value: line[1] };
        // It may be encrypted, or have a default of the project's.
        return `${ofProject}${ofStack}`.includes(key) || /^["']?environment["']?:/m.test(ofStack)
            ? undefined
            : { value: undefined };
    }
    return undefined;
}

function nameIn(project: string): string | undefined {
    return /^name: *["']?([^"'\s]+)/m.exec(project)?.[1];
}

/** What is commented out is not set. */
function withoutComments(text: string | undefined): string | undefined {
    return text?.replaceAll(/(^|\s)#.*$/gm, "$1");
}

function textOf(path: string): string | undefined {
    try {
        return readFileSync(path, "utf8");
    } catch {
        return undefined;
    }
}

/**
 * Where the stack's file may be: where the engine runs, and where it starts its plugins, which is the project's
 * directory, or one below by the project's `main`. An inline program of the Automation API has a `main` anywhere.
 */
function projectDirectories(engine: string | undefined): string[] {
    return [...(engine === undefined ? [] : [`${engine}/cwd`]), ".", ".."];
}

/** The process of the engine below /proc, an ancestor of this one; on Linux alone. */
function engineProcess(): string | undefined {
    let pid = process.ppid;
    for (let generation = 0; generation < 4; generation++) {
        const [, program, parent] = /^\d+ \((.*)\) \S (\d+)/s.exec(textOf(`/proc/${pid}/stat`) ?? "") ?? [];
        if (program === "pulumi") return `/proc/${pid}`;
        pid = Number(parent);
    }
    return undefined;
}
