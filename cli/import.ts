import { existsSync, mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { fact } from "../provider/kinds/probe";
import type { Host } from "../provider/reconcile/host";
import type { HostState } from "../provider/reconcile/state";
import type { Connection } from "../provider/ssh/connection";
import type { Command } from "./command";
import { hostOf, tell, Usage, type Values } from "./host";
import { type Fields, type Imported, imported, type SeenHost, slug } from "./imported";
import { type Hosts, program, stackConfig, topology } from "./listings";

/** Reads a live director, and writes what declares it: a program, or the topology form of a stack's config. */
export const importing: Command = {
    usage:
        "    lvs import HOST [--name NAME] [--real-server NAME=HOST]… [--format program|topology] [--out DIR]\n" +
        "                                                what takes over the services that HOST holds, by adopt",
    async run([target, ...more], values) {
        const { format = "program", out } = values;
        if (format !== "program" && format !== "topology")
            throw new Usage(`lvs import: --format is program or topology, not ${JSON.stringify(format)}`);
        if (more.length > 0) throw new Usage(`lvs import: one director at a time, not ${more.join(" ")} too`);
        const given = await hostOf(target, values);
        const { host } = given;
        const name = nameOf(values["name"], given.name, host.connection);
        const files = filesOf(format, name);
        if (typeof out === "string") refuseThere(out, files);
        const others = await Promise.all(
            pairs(values["real-server"]).map(async ([each, at]) => ({
                name: each,
                host: (await hostOf(at, values)).host,
            })),
        );
        const hosts: Hosts = {};
        for (const each of [{ name, host }, ...others]) {
            if (Object.hasOwn(hosts, each.name)) throw new Usage(`lvs import: two hosts are called ${each.name}`);
            hosts[each.name] = connectionFields(each.host.connection);
        }
        const [state, ...realServers] = await Promise.all([
            whole(host),
            ...others.map(async (each): Promise<SeenHost> => ({ name: each.name, state: await whole(each.host) })),
        ]);
        if ((state.objects.get("service")?.size ?? 0) === 0)
            throw new Error(`${host.name} holds no virtual service: there is nothing to import`);
        const found = imported(name, state, realServers);
        for (const note of found.notes) tell(`lvs: ${note}`);
        const texts = Object.entries(files).map(([file, render]) => [file, render(found, hosts, host.name)] as const);
        if (typeof out === "string") write(out, texts);
        else process.stdout.write(texts[0]![1]);
        return 0;
    },
};

/** All that a host shows; an error where this user is not shown all of it. */
async function whole(host: Host): Promise<HostState> {
    const state = await host.read();
    const uid = fact(state.probe, "uid");
    if (uid !== undefined && uid !== "0")
        throw new Error(`${host.name}: this user is not root (uid ${uid}) and is not shown the table: use --sudo`);
    return state;
}

/** The director's name, and its connection's in `lvs:hosts`: as asked for, as it stands there, or of its address. */
function nameOf(asked: Values[string], target: string, { host }: Connection): string {
    const ofAddress = /^[A-Za-z]/.test(host) ? host.split(".")[0]! : host;
    const name = asked ?? (/^[^\s/#@:[\]]+$/.test(target) && target !== host ? target : ofAddress);
    if (typeof name !== "string" || !/^[^\s/#]+$/.test(name))
        throw new Usage("lvs import: a name has no spaces, / or #");
    return name;
}

function pairs(given: Values[string]): [name: string, host: string][] {
    return (Array.isArray(given) ? given : []).map((pair) => {
        const [, name, host] = /^([^\s/#=]+)=(.+)$/.exec(pair) ?? [];
        if (name === undefined || host === undefined)
            throw new Usage(`lvs import: --real-server is NAME=[USER@]HOST[:PORT], not ${JSON.stringify(pair)}`);
        return [name, host];
    });
}

/** A connection as `lvs:hosts` takes it, without credentials and without what is the default. */
function connectionFields({ host, port, user, sudo, privateKeyPath, knownHosts }: Connection): Fields {
    return {
        host,
        ...(port === 22 ? {} : { port }),
        ...(user === "root" ? {} : { user }),
        ...(sudo ? { sudo } : {}),
        ...(privateKeyPath === undefined ? {} : { privateKeyPath }),
        ...(knownHosts === undefined ? {} : { knownHosts }),
    };
}

type Files = Record<string, (found: Imported, hosts: Hosts, source: string) => string>;

/** The files by name, the one that holds what was found first. */
function filesOf(format: "program" | "topology", name: string): Files {
    const config = `Pulumi.${slug(name)}.yaml`;
    if (format === "topology") return { [config]: topology };
    const { version, peerDependencies } = require("pulumi-lvs/package.json") as {
        version: string;
        peerDependencies: Record<string, string>;
    };
    const dependencies = { ...peerDependencies, "pulumi-lvs": `^${version}` };
    return {
        "index.ts": program,
        "Pulumi.yaml": () =>
            `name: ${slug(name)}\ndescription: Linux Virtual Server of ${slug(name)}\nruntime: nodejs\n`,
        [config]: (_, hosts) => stackConfig(hosts),
        "package.json": () => `${JSON.stringify({ private: true, main: "index.ts", dependencies }, null, 4)}\n`,
    };
}

/** None is written where one is there already: said before anybody waits for a host. */
function refuseThere(directory: string, files: Files): void {
    const there = Object.keys(files)
        .map((file) => join(directory, file))
        .filter((path) => existsSync(path));
    if (there.length > 0) throw new Error(`${there.join(", ")} is there already: nothing was written`);
}

function write(directory: string, texts: (readonly [file: string, text: string])[]): void {
    mkdirSync(directory, { recursive: true });
    for (const [file, text] of texts) {
        const path = join(directory, file);
        writeFileSync(path, text, { flag: "wx" });
        tell(`lvs: wrote ${path}`);
    }
}
