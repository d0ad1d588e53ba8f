import * as pulumi from "@pulumi/pulumi";
import { Director, type DirectorArgs } from "./director";
import type { FirewallMark, ServiceAddress } from "./identity";
import { RealServer, type RealServerArgs } from "./realServer";
import type { ServiceArgs } from "./service";
import { VirtualService } from "./virtualService";

/** A virtual service of a cluster: a VirtualService, with directors by their names. */
export type ClusterServiceArgs = ServiceArgs &
    (ServiceAddress | FirewallMark) & {
        /** Name of the one director that it runs on. Default: all directors. */
        director?: string;
        /** Names of the directors that it runs on; `director` or this, not both. Default: all directors. */
        directors?: string[];
    };

/** A real server of a cluster: a RealServer, with services by their names. */
export type ClusterRealServerArgs = Omit<RealServerArgs, "service"> & {
    /** Name of the one service that it belongs to, on each of the service's directors. Default: all services. */
    service?: string;
    /** Names of the services that it belongs to; `service` or this, not both. Default: all services. */
    services?: string[];
};

/** A whole topology as plain data. Names and references are plain; the values of fields may be Inputs. */
export interface LvsClusterArgs {
    /** Directors by name. */
    directors: Record<string, DirectorArgs>;
    /** Virtual services by name. Default: none. */
    services?: Record<string, ClusterServiceArgs>;
    /** Real servers by name. Default: none. */
    realServers?: Record<string, ClusterRealServerArgs>;
}

/**
 * A topology of directors, virtual services and real servers, from plain data: every service on its directors, every
 * real server in its services.
 *
 * Its children are called `<cluster>-<director>`, `<cluster>-<service>-<director>` and
 * `<cluster>-<real server>-<service>-<director>`, always in full, so that a second director or service renames nothing.
 */
export class LvsCluster extends pulumi.ComponentResource {
    /** The directors by name. */
    public readonly directors: Record<string, Director>;
    /** The virtual services by name, and then by the name of the director. */
    public readonly services: Record<string, Record<string, VirtualService>>;
    /** The real servers by name, then by the name of the service, then by that of the director. */
    public readonly realServers: Record<string, Record<string, Record<string, RealServer>>>;

    /**
     * @param name the component's name in the program, and the beginning of its children's names
     * @param args the topology; nothing is registered if a name in it leads nowhere
     * @param opts Pulumi's options for components
     */
    constructor(name: string, args: LvsClusterArgs, opts?: pulumi.ComponentResourceOptions) {
        const plan = planOf(name, args);
        super("pulumi-lvs:index:LvsCluster", name, {}, opts);
        this.directors = {};
        this.services = {};
        this.realServers = {};
        const child = { parent: this };
        for (const { key, director } of plan.directors) {
            this.directors[director] = new Director(key, args.directors[director]!, child);
        }
        for (const { key, service, director } of plan.services) {
            const { director: _, directors: __, ...fields } = args.services![service]!;
            const each = { ...fields, director: this.directors[director]! };
            this.services[service] ??= {};
            this.services[service][director] = new VirtualService(key, each, child);
        }
        for (const { key, realServer, service, director } of plan.realServers) {
            const { service: _, services: __, ...fields } = args.realServers![realServer]!;
            const each = { ...fields, service: this.services[service]![director]! };
            this.realServers[realServer] ??= {};
            this.realServers[realServer][service] ??= {};
            this.realServers[realServer][service][director] = new RealServer(key, each, child);
        }
        this.registerOutputs({});
    }
}

interface Plan {
    directors: { key: string; director: string }[];
    services: { key: string; service: string; director: string }[];
    realServers: { key: string; realServer: string; service: string; director: string }[];
}

const parts = ["directors", "services", "realServers"] as const;

/** The children and their names. Throws every mistake at once, each with its property path. */
function planOf(name: string, args: LvsClusterArgs): Plan {
    const wrong: string[] = [];
    const maps = checkedMaps(args, wrong);
    const names = { directors: Object.keys(maps.directors), services: Object.keys(maps.services) };
    if (isMap(args?.directors) && names.directors.length === 0)
        wrong.push("directors: must name at least one director");
    const plan: Plan = {
        directors: names.directors.map((director) => ({ key: `${name}-${director}`, director })),
        services: [],
        realServers: [],
    };
    const on = new Map<string, string[]>();
    for (const [service, given] of Object.entries(maps.services)) {
        on.set(service, references(given, "director", names.directors, `services.${service}`, wrong));
        for (const director of on.get(service)!)
            plan.services.push({ key: `${name}-${service}-${director}`, service, director });
    }
    for (const [realServer, given] of Object.entries(maps.realServers)) {
        for (const service of references(given, "service", names.services, `realServers.${realServer}`, wrong)) {
            for (const director of on.get(service) ?? []) {
                plan.realServers.push({
                    key: `${name}-${realServer}-${service}-${director}`,
                    realServer,
                    service,
                    director,
                });
            }
        }
    }
    for (const part of parts) sayTwice(plan[part], part, wrong);
    if (wrong.length > 0) throw new pulumi.RunError(wrong.map((line) => `LvsCluster ${name}: ${line}`).join("\n"));
    return plan;
}

/** The three maps; what is no map is said, and empty. */
function checkedMaps(args: LvsClusterArgs, wrong: string[]): Record<(typeof parts)[number], Record<string, object>> {
    if (!isMap(args)) wrong.push("expected a map with directors, services and realServers");
    const given: Record<string, unknown> = isMap(args) ? args : {};
    for (const other of Object.keys(given)) {
        if (!(parts as readonly string[]).includes(other))
            wrong.push(`${other}: is not known here; known are ${parts.join(", ")}`);
    }
    const map = (part: (typeof parts)[number]): Record<string, object> => {
        const value = given[part];
        if (value === undefined || value === null) {
            if (part === "directors" && isMap(args)) wrong.push("directors: is required");
            return {};
        }
        if (!isMap(value)) {
            wrong.push(`${part}: expected a map by name`);
            return {};
        }
        const entries = Object.entries(value).map(([key, entry]) => {
            if (!isMap(entry)) wrong.push(`${part}.${key}: expected a map of its fields`);
            return [key, isMap(entry) ? entry : {}] as const;
        });
        return Object.fromEntries(entries);
    };
    return { directors: map("directors"), services: map("services"), realServers: map("realServers") };
}

/** The names that an entry refers to, by `director` or `directors` (`service`, `services`); all where it says nothing. */
function references(
    entry: object,
    one: "director" | "service",
    known: string[],
    at: string,
    wrong: string[],
): string[] {
    const given = entry as Record<string, unknown>;
    const single = given[one] ?? undefined;
    const several = given[`${one}s`] ?? undefined;
    if (single !== undefined && several !== undefined) {
        wrong.push(`${at}.${one}s: ${one} is given too; name one by ${one}, or several by ${one}s`);
        return [];
    }
    if (single === undefined && several === undefined) return known;
    if (several !== undefined && (!Array.isArray(several) || several.length === 0)) {
        wrong.push(`${at}.${one}s: expected a list of at least one name`);
        return [];
    }
    const named: [string, unknown][] =
        single !== undefined
            ? [[`${at}.${one}`, single]]
            : (several as unknown[]).map((each, index) => [`${at}.${one}s[${index}]`, each]);
    const found: string[] = [];
    for (const [path, each] of named) {
        if (typeof each !== "string") wrong.push(`${path}: expected the name of a ${one}, as plain text`);
        else if (!known.includes(each))
            wrong.push(`${path}: there is no ${one} ${JSON.stringify(each)}; ${listed(one, known)}`);
        else if (found.includes(each)) wrong.push(`${path}: ${JSON.stringify(each)} is named twice`);
        else found.push(each);
    }
    return found;
}

function listed(one: string, known: string[]): string {
    return known.length === 0 ? `${one}s is empty` : `known are ${known.join(", ")}`;
}

/** `a-b` on `c` and `a` on `b-c` would be two resources of one name. */
function sayTwice(children: { key: string }[], part: string, wrong: string[]): void {
    const seen = new Set<string>();
    for (const { key } of children) {
        if (seen.has(key)) wrong.push(`${part}: two of them would be called ${JSON.stringify(key)}; rename one`);
        seen.add(key);
    }
}

function isMap(value: unknown): value is Record<string, unknown> {
    return value !== null && typeof value === "object" && !Array.isArray(value) && !pulumi.Output.isInstance(value);
}
