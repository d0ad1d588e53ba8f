import { groups, isKind, kindOf } from "../provider/kinds";
import type { Host } from "../provider/reconcile/host";
import { describeOwner, type LedgerFile } from "../provider/reconcile/ledger";
import { atRest, type Plan, plan, project, refuseUnreadable, satisfied, show } from "../provider/reconcile/plan";
import { type HostState, underMaintenance, valueAt } from "../provider/reconcile/state";
import type { Command } from "./command";
import { hostOf, hostsOf, type Look, lookAt, tell, Usage, type Values } from "./host";
import { judge, projectAtHand, type StackState, stateOfStack } from "./stack";

const USAGE = "lvs claims: list [HOST…], or release HOST FILE|OWNER [--restore]";

const UNKNOWN = "of a kind that this version does not know: a newer pulumi-lvs wrote it";

/** What hosts' ledgers claim, and the way out for a file that no stack knows any more. */
export const claims: Command = {
    usage:
        "    lvs claims list [HOST…] [--json]            what is declared on these hosts, by whom, and whether it is so\n" +
        "    lvs claims release HOST FILE|OWNER [--restore]\n" +
        "                                                forget a ledger file; --restore also undoes what it claims",
    async run([verb, ...words], values) {
        if (verb === "list") return list(words, values);
        const [target, file, more] = words;
        if (verb !== "release" || target === undefined || file === undefined || more !== undefined) {
            throw new Usage(USAGE);
        }
        return release((await hostOf(target, values)).host, file, values["restore"] === true);
    },
};

async function list(targets: string[], values: Values): Promise<number> {
    const [looks, stack] = await Promise.all([lookAt(await hostsOf(targets, values), groups), stackAtHand(values)]);
    const seen = looks.filter((look): look is Look & { state: HostState } => look.state !== undefined);
    for (const { name, error } of looks)
        if (error !== undefined) tell(`lvs: ${name} was not looked at: ${error.message}`);
    const entries = seen.flatMap(({ name, state }) => entriesOf(name, state, stack));
    const broken = seen.flatMap(({ name, state }) =>
        [...state.unreadable].map(([file, { owner, reason, newer }]) => ({
            host: name,
            file,
            ...(owner === undefined ? {} : { owner }),
            trouble: reason,
            newer,
        })),
    );
    if (values["json"] === true) process.stdout.write(`${JSON.stringify([...entries, ...broken], null, 4)}\n`);
    else {
        for (const { name } of seen) {
            if (looks.length > 1) process.stdout.write(`${name}\n`);
            for (const entry of entries) if (entry.host === name) process.stdout.write(print(entry));
            for (const entry of broken) if (entry.host === name) process.stdout.write(printBroken(entry));
        }
    }
    return seen.length === looks.length ? 0 : 1;
}

/** The state of the stack in whose directory this runs; without one, nothing is claimed to be dead. */
async function stackAtHand(values: Values): Promise<StackState | undefined> {
    const name = values["stack"] as string | undefined;
    if (name === undefined && !projectAtHand()) return undefined;
    try {
        return await stateOfStack(name);
    } catch (error) {
        if (name !== undefined) throw error;
        tell(`note: whether a file is dead is not known: ${(error as Error).message}`);
        return undefined;
    }
}

function entriesOf(host: string, state: HostState, stack: StackState | undefined) {
    const marks = underMaintenance(state.ledger);
    return [...state.ledger].map(([name, file]) => {
        const verdict = stack === undefined ? undefined : judge(file, stack);
        return {
            host,
            file: name,
            owner: file.owner,
            id: file.id,
            /** What the state of the stack at hand says of it. */
            ...(verdict === undefined ? {} : { stack: verdict }),
            claims: file.claims.map(({ kind, key, value }) => {
                const have = valueAt(state, kind, key);
                const maintenance = kind === "destination" && marks.has(key);
                return {
                    kind,
                    key,
                    value,
                    holds: isKind(kind) && satisfied(kind, key, atRest(value, maintenance), have),
                    found: have ?? null,
                    ...(maintenance ? { maintenance } : {}),
                };
            }),
        };
    });
}

function print({ host, file, owner, id, stack, claims: all }: ReturnType<typeof entriesOf>[number]): string {
    const lines = [`${file} ${id} (${describeOwner(owner)})`];
    if (stack === "dead") {
        lines.push(
            "    not in the stack's state: its create was cut off and then reverted, it was kept by retainOnDelete or",
            "    `pulumi state delete`, or a `pulumi up` is under way;",
            `    \`lvs claims release ${host} ${file}\` forgets it, with --restore it also undoes what it claims`,
        );
    } else if (stack === "other incarnation") {
        lines.push(
            "    not in the stack's state: unless a `pulumi up` is under way, a --replace was cut off; a destroy would leave",
            "    what it claims: run `pulumi up --replace` for its resource, which takes it over",
        );
    }
    for (const { kind, key, value, holds, found, maintenance } of all) {
        const known = isKind(kind);
        const differs = holds ? "" : known ? `, but the host has ${show(found ?? undefined, kind)}` : `, ${UNKNOWN}`;
        const rests = maintenance === true ? ", under maintenance" : "";
        lines.push(
            `    ${known ? kindOf(kind).describe(key) : `${kind} ${key}`} ${show(value, kind)}${rests}${differs}`,
        );
    }
    return lines.map((line) => `${line}\n`).join("");
}

function printBroken({ host, file, owner, trouble, newer }: Broken): string {
    const lines = [`${file}${owner === undefined ? "" : ` (${describeOwner(owner)})`}: ${trouble}`];
    if (!newer) {
        lines.push(
            "    nothing is released on this host past it: `pulumi up --refresh` of its resource writes it anew; if there is",
            `    none, \`lvs claims release ${host} ${file}\` forgets it, and what it claimed is nobody's then`,
        );
    }
    return lines.map((line) => `${line}\n`).join("");
}

/** A ledger file that cannot be read. */
interface Broken {
    host: string;
    file: string;
    owner?: string;
    trouble: string;
    newer: boolean;
}

/** The file that is meant: by its name, or by its owner as `claims list` shows it, or as the file itself has it. */
function fileMeant(host: Host, { ledger, unreadable }: HostState, word: string): string {
    const files = [...new Map<string, { owner?: string }>([...unreadable, ...ledger])];
    const meant = files.filter(
        ([name, { owner }]) =>
            name === word || (owner !== undefined && (owner === word || describeOwner(owner) === word)),
    );
    const [first, second] = meant;
    if (first === undefined) throw new Usage(`the ledger of ${host.name} has no file ${word}: see \`lvs claims list\``);
    if (second === undefined) return first[0];
    throw new Usage(`${word} has several files on ${host.name}, name one: ${meant.map(([name]) => name).join(", ")}`);
}

async function release(host: Host, word: string, restore: boolean): Promise<number> {
    const seen = await host.read();
    const name = fileMeant(host, seen, word);
    const file = seen.ledger.get(name);
    const broken = seen.unreadable.get(name);
    if (broken !== undefined) {
        refuseUnreadable(host.name, { unreadable: new Map([[name, broken]]) }, false);
        if (restore) {
            throw new Usage(
                `what ${name} claims cannot be read, and so not undone: release it without --restore, then see to ` +
                    "what is left by hand",
            );
        }
    }
    const { notes } = await host.submit({
        says: `release ${name}`,
        settings: [],
        groups,
        plan: (state) => (restore && file !== undefined ? undo(host, file, state) : forget(name, state)),
    });
    for (const note of notes) process.stdout.write(`${note}\n`);
    process.stdout.write(
        `${name} (${file?.id ?? "damaged"}) is ${restore ? "undone and forgotten" : "forgotten; the host stays as it is"}\n`,
    );
    return 0;
}

function forget(name: string, state: HostState): Plan {
    const files = new Map([[name, undefined]]);
    return {
        steps: [],
        during: new Map(),
        afterwards: files,
        notes: [],
        partial: false,
        pending: 0,
        next: project(state, [], files),
        goals: [],
    };
}

function undo(host: Host, file: LedgerFile, state: HostState): Plan {
    return plan(
        {
            owner: file.owner,
            id: file.id,
            token: file.token,
            host: host.name,
            phase: "delete",
            wants: () => [],
            creating: false,
            adopt: false,
            deleteForeign: false,
            boot: file.boot,
            drain: 0,
        },
        state,
    );
}
