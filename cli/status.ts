import type { DestinationValue, ServiceValue } from "../provider/ipvs/model";
import { tableOf } from "../provider/kinds/ipvs";
import { describeOwner } from "../provider/reconcile/ledger";
import { type HostState, holders } from "../provider/reconcile/state";
import type { Command } from "./command";
import { hostsOf } from "./host";

interface Line {
    host: string;
    key: string;
    value: ServiceValue | DestinationValue;
    connections?: { active: number; inactive: number };
    /** Who declared it; empty: nobody, it is foreign. */
    owners: string[];
}

/** What the kernels hold, beside who declared it. */
export const status: Command = {
    usage: "    lvs status [HOST…] [--json]                 services and real servers, connections, and who declared them",
    async run(targets, values) {
        const lines: Line[] = [];
        for (const { name, host } of await hostsOf(targets, values)) lines.push(...linesOf(name, await host.read()));
        if (values["json"] === true) process.stdout.write(`${JSON.stringify(lines, null, 4)}\n`);
        else for (const line of lines) process.stdout.write(`${print(line)}\n`);
        return 0;
    },
};

function linesOf(host: string, state: HostState): Line[] {
    const { services, destinations, connections } = tableOf(state.probe);
    const owners = (kind: string, key: string) =>
        holders(state.ledger, kind, key).map(({ file }) => describeOwner(file.owner));
    return [...services].flatMap(([key, value]) => [
        { host, key, value, owners: owners("service", key) },
        ...[...destinations]
            .filter(([destination]) => destination.startsWith(`${key}/`))
            .map(([destination, each]): Line => {
                const counts = connections.get(destination);
                return {
                    host,
                    key: destination,
                    value: each,
                    ...(counts === undefined ? {} : { connections: counts }),
                    owners: owners("destination", destination),
                };
            }),
    ]);
}

function print({ host, key, value, connections, owners }: Line): string {
    const who = owners.length === 0 ? "foreign" : owners.join(", ");
    if ("scheduler" in value) return `${host} ${key} ${[value.scheduler, ...value.flags].join(" ")} [${who}]`;
    const counts = connections === undefined ? "" : ` active ${connections.active} inactive ${connections.inactive}`;
    return `    -> ${key.slice(key.lastIndexOf("/") + 1)} ${value.forwarding} weight ${value.weight}${counts} [${who}]`;
}
