/** The Pulumi stack that this directory's project has selected, asked of the user's own `pulumi`. */
import { spawn } from "node:child_process";
import { existsSync } from "node:fs";
import { dirname, join } from "node:path";
import { readHosts } from "../provider/dynamic/config";
import { TYPE_PREFIX } from "../provider/dynamic/shim";
import { fileName, type LedgerFile, stackOf } from "../provider/reconcile/ledger";

/** Seconds for one answer of `pulumi`: its backend may be far away. */
const LIMIT = 120;

/** Whether `pulumi` would find a project here: its file is in this directory or in one above it. */
export function projectAtHand(directory = process.cwd()): boolean {
    if (["Pulumi.yaml", "Pulumi.yml", "Pulumi.json"].some((name) => existsSync(join(directory, name)))) return true;
    const above = dirname(directory);
    return above !== directory && projectAtHand(above);
}

/**
 * The connections in the stack's `lvs:hosts`, decrypted, by name; none where the stack has no such key. `stack`: default
 * the one that is selected.
 *
 * @throws when there is no project or no stack, or its secrets cannot be decrypted: with what `pulumi` said.
 */
export async function hostsOfStack(stack?: string): Promise<Record<string, unknown>> {
    const { status, stdout, stderr } = await pulumi(["config", "get", "lvs:hosts", ...named(stack)]);
    if (status !== 0 && /configuration key .* not found/.test(stderr)) return {};
    if (status !== 0) throw new Error(`\`pulumi config get lvs:hosts\` failed: ${firstError(stderr)}`);
    return readHosts(stdout);
}

/** What `pulumi stack export` prints: the stack's state, secrets encrypted. `stack`: default the one that is selected. */
export async function exportOfStack(stack?: string): Promise<string> {
    const { status, stdout, stderr } = await pulumi(["stack", "export", ...named(stack)]);
    if (status !== 0) throw new Error(`\`pulumi stack export\` failed: ${firstError(stderr)}`);
    return stdout;
}

/** What a stack knows of its own resources: the judge of a ledger file that says it belongs to it. */
export interface StackState {
    /** What stands before the `#` in its owners. */
    identities: ReadonlySet<string>;
    /** Tokens by the names of ledger files; undefined: the state does not say it in clear. */
    tokens: ReadonlyMap<string, string | undefined>;
}

/** The state of the stack that is selected, or of `stack`. Throws as {@link hostsOfStack}. */
export async function stateOfStack(stack?: string): Promise<StackState> {
    const [exported, name, owner] = await Promise.all([
        exportOfStack(stack),
        pulumi(["stack", "--show-name", "--fully-qualify-stack-names", ...named(stack)]),
        pulumi(["config", "get", "lvs:owner", ...named(stack)]),
    ]);
    if (name.status !== 0) throw new Error(`\`pulumi stack\` failed: ${firstError(name.stderr)}`);
    return readState(exported, owner.status === 0 ? owner.stdout.trim() : name.stdout.trim());
}

/** Reads what `pulumi stack export` prints. `identity`: the stack's, where its state has no resource that says it. */
export function readState(exported: string, identity: string): StackState {
    const { deployment } = JSON.parse(exported) as {
        deployment: { resources?: { type: string; id?: string; outputs?: Record<string, unknown> }[] };
    };
    const identities = new Set([identity]);
    const tokens = new Map<string, string | undefined>();
    for (const { type, id = "", outputs = {} } of deployment.resources ?? []) {
        const { owner, token } = outputs;
        if (!type.startsWith(TYPE_PREFIX) || typeof owner !== "string") continue;
        identities.add(stackOf(owner));
        tokens.set(fileName({ owner, id }), typeof token === "string" ? token : undefined);
    }
    return { identities, tokens };
}

/**
 * What a stack's state says of a ledger file: `known`; `dead`, of a create that was cut off before its answer and then
 * reverted in the program; `other incarnation`, where it was a --replace that was cut off. Undefined: it is not this stack's.
 */
export function judge(file: LedgerFile, state: StackState): "known" | "dead" | "other incarnation" | undefined {
    if (!state.identities.has(stackOf(file.owner))) return undefined;
    const name = fileName(file);
    if (!state.tokens.has(name)) return "dead";
    return (state.tokens.get(name) ?? file.token) === file.token ? "known" : "other incarnation";
}

function named(stack: string | undefined): string[] {
    return stack === undefined ? [] : ["--stack", stack];
}

/** What `pulumi` complained of, on one line: of its standard error alone, because the other holds secrets. */
function firstError(stderr: string): string {
    const lines = stderr.split("\n").map((line) => line.trim());
    return lines.find((line) => line.startsWith("error: "))?.slice("error: ".length) ?? lines.join(" ").trim();
}

function pulumi(words: string[]): Promise<{ status: number | null; stdout: string; stderr: string }> {
    return new Promise((resolve, reject) => {
        const child = spawn("pulumi", [...words, "--non-interactive"], {
            stdio: ["ignore", "pipe", "pipe"],
            env: { ...process.env, PULUMI_SKIP_UPDATE_CHECK: "true" },
        });
        // node's own `timeout` goes on for a program that was not found, and would keep the command from its end.
        setTimeout(() => child.kill(), LIMIT * 1000).unref();
        let stdout = "";
        let stderr = "";
        child.stdout.setEncoding("utf8").on("data", (text: string) => {
            stdout += text;
        });
        child.stderr.setEncoding("utf8").on("data", (text: string) => {
            stderr += text;
        });
        child.once("error", (error: NodeJS.ErrnoException) =>
            reject(
                error.code === "ENOENT" ? new Error("there is no `pulumi` on the PATH to ask for the stack") : error,
            ),
        );
        child.once("close", (status, signal) =>
            resolve({ status, stdout, stderr: signal === null ? stderr : `it was ended after ${LIMIT} s` }),
        );
    });
}
