/** The resources of a stack out of what `pulumi stack export` or `pulumi preview --json` prints: pure. */
import { UNKNOWN } from "../provider/inputs/parse";

export type ResourceType = "Director" | "VirtualService" | "RealServer";

/** A resource with its inputs; what is secret or not known yet stands as {@link UNKNOWN}. */
export interface Declared {
    type: ResourceType;
    /** Its name in the program. */
    name: string;
    inputs: Record<string, unknown>;
}

export interface Declarations {
    resources: Declared[];
    /** Resources of ours that stay as they are and that the preview does not show. */
    hidden: number;
}

/** Throws where the text is neither. */
export function declarationsIn(text: string): Declarations {
    const given = parsed(text);
    const deployment = member(given, "deployment");
    if (deployment !== undefined) {
        const states = list(member(deployment, "resources")).filter((state) => member(state, "delete") !== true);
        return { resources: resourcesOf(states), hidden: 0 };
    }
    const steps = member(given, "steps");
    if (Array.isArray(steps)) {
        const stays = steps.filter((step) => !/^(delete|discard|remove)/.test(String(member(step, "op"))));
        const shown = steps.filter((step) => member(step, "op") === "same").length;
        const same = Number(member(member(given, "changeSummary"), "same") ?? 0);
        return { resources: resourcesOf(stays.map((step) => member(step, "newState"))), hidden: same - shown };
    }
    throw new Error("this is what neither `pulumi stack export` nor `pulumi preview --json` prints");
}

/** Outputs of this package that a refresh writes beside the inputs. */
const OUTPUTS = ["drift"];

/** The last state of each URN counts: a replacement is in it twice. */
function resourcesOf(states: unknown[]): Declared[] {
    const byUrn = new Map<string, Declared>();
    for (const state of states) {
        const [, type] = /^pulumi-nodejs:dynamic\/lvs:(Director|VirtualService|RealServer)$/.exec(
            String(member(state, "type")),
        ) ?? [undefined, undefined];
        const urn = String(member(state, "urn"));
        if (type === undefined) continue;
        const inputs = Object.entries(withoutSecrets(member(state, "inputs")) ?? {});
        byUrn.set(urn, {
            type: type as ResourceType,
            name: urn.split("::").slice(3).join("::"),
            inputs: Object.fromEntries(inputs.filter(([name]) => !OUTPUTS.includes(name))),
        });
    }
    return [...byUrn.values()];
}

/** How the engine marks what it encrypted (sdk/go/common/resource/sig), and what a preview prints in its place. */
const SIGNATURE = "4dabf18193072939515e22adb298388d";
const MASKED = "[secret]";

function withoutSecrets(value: unknown): unknown {
    if (value === MASKED) return UNKNOWN;
    if (Array.isArray(value)) return value.map(withoutSecrets);
    if (value === null || typeof value !== "object") return value;
    if (SIGNATURE in value) return UNKNOWN;
    return Object.fromEntries(Object.entries(value).map(([name, each]) => [name, withoutSecrets(each)]));
}

function parsed(text: string): unknown {
    try {
        return JSON.parse(text);
    } catch {
        return undefined;
    }
}

function member(value: unknown, name: string): unknown {
    return value !== null && typeof value === "object" ? (value as Record<string, unknown>)[name] : undefined;
}

function list(value: unknown): unknown[] {
    return Array.isArray(value) ? value : [];
}
