/** The provider's configuration: what `configure` is given, read when it is used. */
import { z } from "zod";
import { parseInputs } from "../inputs/parse";
import { type Connection, connectionSchema } from "../ssh/connection";
import { settingNow } from "./stackFile";

/** A connection as inputs name it. */
export type ConnectionReference = string | Record<string, unknown>;

export interface Config {
    /** `lvs:hosts`: connections by name. */
    hosts: Record<string, unknown>;
    /** `lvs:onUnreachable`, default fail. */
    onUnreachable: "fail" | "forget";
    /** `lvs:commandTimeout`: seconds for one script on a host, default 60. */
    commandTimeout: number;
}

/**
 * Reads the stack's configuration; `get` is the engine's: keys with their namespace. Throws what is wrong with it.
 *
 * For `refresh`, `destroy` and `up --refresh` the engine hands over the configuration that the last `up` saved. What is to
 * be done about a dead host is decided now: so the two plain settings are looked up in the files of the stack first.
 */
export function readConfig(saved: (key: string) => string | undefined, stack: string): Config {
    const get = (key: string): string | undefined => {
        const now = settingNow(stack, key);
        return now === undefined ? saved(key) : now.value;
    };
    const onUnreachable = get("lvs:onUnreachable") ?? "fail";
    if (onUnreachable !== "fail" && onUnreachable !== "forget") {
        throw new Error(`config lvs:onUnreachable: expected fail or forget, got ${JSON.stringify(onUnreachable)}`);
    }
    const timeout = get("lvs:commandTimeout") ?? "60";
    const commandTimeout = Number(timeout);
    if (!(commandTimeout >= 1 && commandTimeout <= 3600)) {
        throw new Error(`config lvs:commandTimeout: expected seconds from 1 to 3600, got ${JSON.stringify(timeout)}`);
    }
    return { hosts: readHosts(saved("lvs:hosts")), onUnreachable, commandTimeout };
}

/** `lvs:hosts` is a structured value or a JSON string; the engine hands over JSON in both cases. */
export function readHosts(text: string | undefined): Record<string, unknown> {
    if (text === undefined || text.trim() === "") return {};
    let value: unknown;
    try {
        value = JSON.parse(text);
        if (typeof value === "string") value = JSON.parse(value);
    } catch {
        throw new Error("config lvs:hosts: it is not valid JSON (its value is not shown: it may hold secrets)");
    }
    if (value === null || typeof value !== "object" || Array.isArray(value)) {
        throw new Error("config lvs:hosts: expected a map from names to connections");
    }
    return value as Record<string, unknown>;
}

/** By this name in a path, no value of it is shown. */
const inConnection = z.object({ connection: connectionSchema });

/** The connection that a reference means. Throws an error that names the property, never its value. */
export function resolveConnection(config: Config, reference: ConnectionReference, property: string): Connection {
    const named = typeof reference === "string";
    const raw = named ? config.hosts[reference] : reference;
    if (raw === undefined) {
        const known = Object.keys(config.hosts);
        throw new Error(
            `${property}: lvs:hosts has no entry ${JSON.stringify(reference)}${known.length === 0 ? " (it is empty)" : `; it has ${known.join(", ")}`}`,
        );
    }
    const { value, failures } = parseInputs(inConnection, { connection: raw });
    if (failures.length === 0) return named ? { ...value.connection, name: reference } : value.connection;
    const where = named ? `config lvs:hosts["${reference}"]` : property;
    throw new Error(
        failures.map((each) => `${where}${each.property.slice("connection".length)}: ${each.reason}`).join("\n"),
    );
}
