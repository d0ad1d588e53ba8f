/**
 * One resource as Pulumi's dynamic provider knows it: check, diff, create, read, update, delete over the same reconciler.
 * Stateless but for the process: the stack's config, and what `check` has seen of the program.
 */
import { randomBytes } from "node:crypto";
import { isDeepStrictEqual } from "node:util";
import type { Failure } from "../inputs/parse";
import { parseInputs, UNKNOWN } from "../inputs/parse";
import type { Finding } from "../kinds/want";
import { LeftBehind } from "../reconcile/errors";
import { stackOf } from "../reconcile/ledger";
import * as lifecycle from "../reconcile/lifecycle";
import type { HostState } from "../reconcile/state";
import type { Resource } from "../resources/resource";
import { printable } from "../ssh/redact";
import { type Config, type ConnectionReference, readConfig, resolveConnection } from "./config";
import { contradictions } from "./program";
import { say, withoutStack } from "./voice";

type Properties = Record<string, unknown>;

/** The version of the outputs' shape. States of every released version must still refresh, update and destroy. */
export const SCHEMA = 1;

/** Properties that only the provider writes. */
const outputsOnly = ["token", "kernel", "drift", "schema", "unfinished"] as const;

/** In the outputs: the operation that broke off with something on a host, and has not been brought to its end since. */
type Unfinished = "create" | "update";

export interface Handler {
    configure(request: { config: { get(key: string): string | undefined } }): void;
    check(olds: Properties, news: Properties): Promise<{ inputs: Properties; failures: Failure[] }>;
    diff(
        id: string,
        olds: Properties,
        news: Properties,
    ): Promise<{ changes: boolean; replaces: string[]; deleteBeforeReplace: boolean }>;
    create(inputs: Properties): Promise<{ id: string; outs: Properties }>;
    read(id: string, props: Properties): Promise<{ id?: string; props?: Properties; inputs?: Properties }>;
    update(id: string, olds: Properties, news: Properties): Promise<{ outs: Properties }>;
    delete(id: string, props: Properties): Promise<void>;
}

export function handlerOf<Inputs extends object>(resource: Resource<Inputs>): Handler {
    let get: (key: string) => string | undefined = () => undefined;
    const configOf = (inputs: object): Config => readConfig(get, stackOf(String((inputs as Properties)["owner"])));
    const around = (inputs: object): lifecycle.Surroundings => {
        const { commandTimeout, onUnreachable } = configOf(inputs);
        return { commandTimeout, onUnreachable, say };
    };
    const parts = (inputs: Inputs): lifecycle.HostPart[] =>
        resource.parts(inputs).map((part) => ({
            ...part,
            connection: resolveConnection(configOf(inputs), part.connection, part.property),
        }));
    /** Inputs out of a state: they were checked when they were written. */
    const inputsOf = (props: object): Inputs => parseInputs(resource.schema, withoutOutputs(props)).value;
    const identity = (id: string, inputs: Inputs, token: unknown) => ({
        owner: String((inputs as Properties)["owner"]),
        id,
        token: String(token ?? "none"),
    });
    const outputs = (inputs: Inputs, token: string, states: (HostState | undefined)[]): Properties =>
        clean({ ...inputs, token, schema: SCHEMA, ...resource.report(inputs, states) });

    return {
        configure(request) {
            get = (key) => request.config.get(key);
        },

        async check(_olds, news) {
            const { value, failures, unknown } = parseInputs(resource.schema, withoutOutputs(news));
            if (failures.length > 0) return { inputs: { ...news }, failures: failures.map(readable) };
            if (unknown) return { inputs: { ...value } as Properties, failures: [] };
            const wrong: Failure[] = unknownHosts(configOf(value), resource.parts(value));
            const findings: Finding[] = [...resource.findings(value), ...contradictions(resource, value)];
            for (const { code, severity, property, message } of findings) {
                if (severity === "error") wrong.push({ property, reason: `${message} [${code}]` });
                else
                    say(
                        `warning: ${resource.id(value)}: ${property === "" ? "" : `${property}: `}${message} [${code}]`,
                    );
            }
            return { inputs: clean({ ...value }), failures: wrong.map(readable) };
        },

        async diff(_id, olds, news) {
            const before = parseInputs(resource.schema, withoutOutputs(olds));
            const now = parseInputs(resource.schema, withoutOutputs(news));
            if (now.unknown) {
                return {
                    changes: true,
                    replaces: replacedByUnknown(withoutOutputs(news), olds),
                    deleteBeforeReplace: false,
                };
            }
            // A state that this version cannot read is written anew; inputs that it cannot read do not come past check.
            if (before.failures.length + now.failures.length > 0) {
                return { changes: true, replaces: [], deleteBeforeReplace: false };
            }
            const replaces = resource.replacedBy(before.value, now.value);
            const changes =
                replaces.length > 0 ||
                olds["drift"] !== undefined ||
                olds["unfinished"] !== undefined ||
                !isDeepStrictEqual(clean({ ...before.value }), clean({ ...now.value }));
            return { changes, replaces, deleteBeforeReplace: false };
        },

        create: withoutStack(async (given: Properties) => {
            const inputs = inputsOf(given);
            const id = resource.id(inputs);
            const token = randomBytes(6).toString("hex");
            const who = identity(id, inputs, token);
            try {
                const states = await lifecycle.create(who, parts(inputs), resource.manner(inputs), around(inputs));
                return { id, outs: outputs(inputs, token, states) };
            } catch (error) {
                if (!(error instanceof LeftBehind)) throw error;
                const begun: Unfinished = "create";
                throw kept(error, id, { ...inputs, token, schema: SCHEMA, unfinished: begun }, given);
            }
        }),

        read: withoutStack(async (id: string, props: Properties) => {
            const inputs = inputsOf(props);
            const reading = await lifecycle.read(identity(id, inputs, props["token"]), parts(inputs), around(inputs));
            if (reading.states === undefined) return { id, props: clean({ ...props }), inputs: withoutOutputs(props) };
            if (reading.gone) return {};
            const drifted = Object.keys(reading.drift).length > 0;
            const shown = { ...resource.reflect(inputs, reading.found), ...(drifted ? { drift: reading.drift } : {}) };
            return {
                id,
                props: clean({
                    ...outputs(inputs, String(props["token"]), reading.states),
                    ...shown,
                    unfinished: props["unfinished"],
                }),
                inputs: clean({ ...shown }),
            };
        }),

        update: withoutStack(async (id: string, olds: Properties, news: Properties) => {
            const before = inputsOf(olds);
            const inputs = inputsOf(news);
            const token = String(olds["token"] ?? randomBytes(6).toString("hex"));
            const former: lifecycle.Former = {
                identity: identity(id, before, token),
                parts: partsIfKnown(parts, before),
                unfinished: olds["unfinished"] === ("create" satisfies Unfinished),
            };
            try {
                const { states, drift } = await lifecycle.update(
                    identity(id, inputs, token),
                    former,
                    parts(inputs),
                    resource.manner(inputs),
                    around(inputs),
                );
                const outs = outputs(inputs, token, states);
                if (Object.keys(drift).length === 0) return { outs };
                return { outs: clean({ kernel: olds["kernel"], ...outs, drift }) };
            } catch (error) {
                // The engine encrypts what the new inputs hold encrypted: a connection that they no longer have it would show.
                if (!(error instanceof LeftBehind) || dropsConnection(resource, before, inputs)) throw error;
                const begun: Unfinished = former.unfinished === true ? "create" : "update";
                throw kept(error, id, { ...olds, token, unfinished: begun }, news);
            }
        }),

        delete: withoutStack(async (id: string, props: Properties) => {
            const inputs = inputsOf(props);
            // Where a create that broke off has no ledger file, it has nothing, whatever looks like its own.
            const begun = props["unfinished"] === ("create" satisfies Unfinished);
            await lifecycle.remove(
                identity(id, inputs, props["token"]),
                parts(inputs).map((part) => (begun ? { ...part, wants: () => [] } : part)),
                resource.manner(inputs),
                around(inputs),
            );
        }),
    };
}

/**
 * The error by which the engine keeps a resource of which something is left on a host, or may be: with these outputs, and
 * so that the next `up` updates it even where the program says what the state says.
 */
function kept({ message }: LeftBehind, id: string, outs: Properties, { __provider }: Properties): Error {
    const told = `${message}\n  ${UNFINISHED}`;
    return Object.assign(new Error(told), { id, properties: clean({ ...outs, __provider }), reasons: [told] });
}

const UNFINISHED =
    "The stack's state keeps it as unfinished: the next `pulumi up` goes on from there, `pulumi destroy` gives back what " +
    "is there. If a host is gone for good, destroy passes it over with the config lvs:onUnreachable set to forget.";

/** Whether a connection that stands in the former inputs themselves is not in the new ones. */
function dropsConnection<Inputs extends object>(resource: Resource<Inputs>, before: Inputs, now: Inputs): boolean {
    const wanted = resource.parts(now).map(({ connection }) => connection);
    return resource
        .parts(before)
        .some(
            ({ connection }) =>
                typeof connection !== "string" && !wanted.some((each) => isDeepStrictEqual(each, connection)),
        );
}

/** What was given may be long, or hold a terminal's control sequences. */
function readable({ property, reason }: Failure): Failure {
    const head = reason.length > 1_000 ? `${reason.slice(0, 1_000)}…` : reason;
    return { property, reason: printable(head, 6_100) };
}

/** A name that `lvs:hosts` does not have is found in preview. Where there is no `lvs:hosts` yet, `up` will say so. */
function unknownHosts(config: Config, parts: { connection: ConnectionReference; property: string }[]): Failure[] {
    if (Object.keys(config.hosts).length === 0) return [];
    return parts.flatMap(({ connection, property }) => {
        if (typeof connection === "string" && connection === UNKNOWN) return [];
        try {
            resolveConnection(config, connection, "");
            return [];
        } catch (error) {
            const reason = (error as Error).message.replace(/^: /, "");
            return [{ property, reason }];
        }
    });
}

/** A former connection may be one that the config no longer has: then there is no way to it, and nothing to compare. */
function partsIfKnown<Inputs>(parts: (inputs: Inputs) => lifecycle.HostPart[], inputs: Inputs): lifecycle.HostPart[] {
    try {
        return parts(inputs);
    } catch (error) {
        say(`warning: the former host is not known any more and is left as it is: ${(error as Error).message}`);
        return [];
    }
}

/** What identifies a rule, when it is not known yet, may change. */
function replacedByUnknown(news: Properties, olds: Properties): string[] {
    const keys = ["service", "protocol", "address", "port", "fwmark", "family"];
    const holdsUnknown = (value: unknown): boolean =>
        value === UNKNOWN ||
        (value !== null &&
            typeof value === "object" &&
            Object.entries(value).some(
                ([name, each]) => (name === "service" || keys.includes(name)) && holdsUnknown(each),
            ));
    return keys.filter((key) => olds[key] !== undefined && holdsUnknown(news[key]));
}

function withoutOutputs(props: object): Properties {
    return Object.fromEntries(
        Object.entries(props).filter(
            ([name]) => !name.startsWith("__") && !(outputsOnly as readonly string[]).includes(name),
        ),
    );
}

/** Without undefined, which the engine's wire format does not take, at any depth. */
function clean(props: object): Properties {
    return JSON.parse(JSON.stringify(props)) as Properties;
}
