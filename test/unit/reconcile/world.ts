/** Hosts as values: states, requests and what their plans make of them, without a host. */
import { kinds, type Value } from "../../../provider/kinds";
import { probeOf } from "../../../provider/kinds/probe";
import type { Want } from "../../../provider/kinds/want";
import {
    fileName,
    type LedgerFile,
    parseLedger,
    renderLedger,
    type UnreadableLedger,
} from "../../../provider/reconcile/ledger";
import { type Deed, type Plan, plan, project, type Request, type Step } from "../../../provider/reconcile/plan";
import type { HostState } from "../../../provider/reconcile/state";

export type Things = Record<string, Record<string, Value>>;

const FACTS = ["machine=m1 u1", "release=6.1.0", "now=1000"];
const TOOLS = ["ipvsadm", "ip", "nft", "flock", "timeout", "arping"].map((tool) => `tool.${tool}=/sbin/${tool}`);

export interface World {
    things?: Things;
    ledger?: LedgerFile[];
    unreadable?: UnreadableLedger[];
    hasLedger?: boolean;
    sections?: Record<string, string>;
}

export function stateOf({
    things = {},
    ledger = [],
    unreadable = [],
    hasLedger,
    sections = {},
}: World = {}): HostState {
    const all = { facts: [...FACTS, ...TOOLS].join("\n"), ...sections };
    return {
        probe: probeOf(all),
        objects: new Map(kinds.map(({ name }) => [name, new Map(Object.entries(things[name] ?? {}))])),
        ledger: new Map(ledger.map((file) => [fileName(file), file])),
        unreadable: new Map(unreadable.map((error) => [error.file, error])),
        hasLedger: hasLedger ?? ledger.length + unreadable.length > 0,
        sum: "1 1",
        takenAt: 0,
        informing: all,
        clockAt: Date.now(),
    };
}

/** Every object of a state, as plain data; kinds that have none left out. */
export function thingsOf(state: HostState): Things {
    return Object.fromEntries(
        [...state.objects]
            .filter(([, values]) => values.size > 0)
            .map(([kind, values]) => [kind, Object.fromEntries([...values].sort(([a], [b]) => (a < b ? -1 : 1)))]),
    );
}

export function requestOf(over: Partial<Omit<Request, "wants">> & { wants?: Want[] } = {}): Request {
    return {
        host: "dir",
        owner: "org/shop/prod#VirtualService/web",
        id: "dir/tcp/192.0.2.100:80",
        token: "t1",
        phase: "all",
        creating: false,
        adopt: false,
        deleteForeign: false,
        boot: true,
        drain: 0,
        ...over,
        wants: () => over.wants ?? [],
    };
}

/** What a plan is followed by until nothing is left of it: as the queue of a host does. */
export function carryOut(request: Request, state: HostState): HostState {
    let current = state;
    for (let round = 0; round < 5; round++) {
        const made = plan(request, current);
        current = written(made.next);
        if (!made.partial) return current;
    }
    throw new Error("a plan stays partial");
}

/** The ledger as it comes back from the host. */
export function written(state: HostState): HostState {
    const ledger = new Map([...state.ledger].map(([name, file]) => [name, parseLedger(name, renderLedger(file))]));
    return { ...state, ledger, hasLedger: ledger.size + state.unreadable.size > 0 };
}

/** The order in which a script does a plan's steps: claims upwards, releases downwards. */
export function inOrder(made: Plan): Step[] {
    const claims = made.steps.filter((step) => !step.release).sort((a, b) => a.rank - b.rank);
    return [...claims, ...made.steps.filter((step) => step.release).sort((a, b) => b.rank - a.rank)];
}

/** The host after the first steps of a plan alone, claims written, the ledger's end not reached. */
export function interrupted(made: Plan, state: HostState, count: number): HostState {
    return written(project(state, inOrder(made).slice(0, count), made.during));
}

/** What a host keeps to take an operation back. */
export function deedOf(made: Plan, state: HostState): Deed {
    return {
        host: "dir",
        files: new Map(
            [...made.during.keys(), ...made.afterwards.keys()].map((name) => [name, state.ledger.get(name)]),
        ),
        changes: made.steps.map(({ kind, key, before, after }) => ({ kind, key, before, after })),
    };
}

/** The code of the error that a piece of work ends with; undefined: it does not. */
export function codeOf(work: () => unknown): string | undefined {
    try {
        work();
        return undefined;
    } catch (error) {
        return (error as { code?: string }).code ?? String(error);
    }
}

export const SERVICE = "tcp/192.0.2.100:80";
export const VIP = "eth0/192.0.2.100/32";
export const SYSCTL = "net.ipv4.vs.conntrack";

export const service = (scheduler = "wlc"): Value => ({ scheduler, flags: [], onePacket: false, persistence: null });
export const destination = (weight = 1, forwarding = "dr"): Value => ({
    forwarding,
    weight,
    upperThreshold: 0,
    lowerThreshold: 0,
    tunnel: null,
});
export const serverKey = (address: string) => `${SERVICE}/${address}:80`;
export const want = (kind: string, key: string, value: Value): Want => ({ kind, key, value });
