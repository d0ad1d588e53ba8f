import type { DirectorInputs } from "../inputs/director";
import { destinationValue } from "../inputs/realServer";
import { familyOf, isMulticast } from "../ipvs/address";
import { isBefore, kernelGate } from "../ipvs/gates";
import { defaults, limits, smallTabBits } from "../ipvs/limits";
import { parseServiceKey, type ServiceIdentity } from "../ipvs/model";
import { forwardingSettings } from "../kinds/forwarding";
import { fact, lines, type Probe } from "../kinds/probe";
import type { Finding, HostView } from "../kinds/want";
import { finding } from "./codes";
import { isLocal } from "./network";
import { sameConnection } from "./ownSsh";
import { inlineServers, serviceFindings, sharedTraffic } from "./service";
import { property, settingValues, unknownSettings, willBe } from "./settings";

/** What a director's inputs alone show. */
export function directorFindings(inputs: DirectorInputs): Finding[] {
    const services = servicesOf(inputs);
    return [
        ...services.flatMap(({ id, fields, at }) => [
            ...serviceFindings(id, fields, at),
            ...sameConnection(id, fields, inputs.connection, at),
        ]),
        ...sharedTraffic(services),
        ...settingValues(inputs.sysctls),
        ...forwardingFindings(inputs),
        ...helperFindings(inputs),
        ...syncFindings(inputs),
        ...backupOnly(inputs),
    ];
}

/** The inline services, each with the property that holds it. */
function servicesOf(inputs: DirectorInputs) {
    return Object.entries(inputs.virtualServices ?? {}).map(([key, fields]) => ({
        id: parseServiceKey(key),
        fields,
        at: `virtualServices[${JSON.stringify(key)}]`,
    }));
}

/** The inputs for the switches of the whole host. */
const switches = { ipv4: "ipForward", ipv6: "ipv6Forward" } as const;

/** A switch has one value, whichever of its names and its input say it. */
function forwardingFindings(inputs: DirectorInputs): Finding[] {
    const { sysctls, masquerade } = inputs;
    const findings: Finding[] = [];
    const off = (value: string | undefined) => value?.trim() === "0";
    for (const family of ["ipv4", "ipv6"] as const) {
        const input = switches[family];
        const said = [
            ...(inputs[input] === undefined
                ? []
                : [{ name: input, at: input, off: !inputs[input], value: inputs[input] }]),
            ...forwardingSettings[family].flatMap((name) => {
                const value = sysctls?.[name];
                return value === undefined ? [] : [{ name, at: property(name), off: off(value), value }];
            }),
        ];
        const [first] = said;
        const other = said.find((each) => each.off !== first?.off);
        if (first !== undefined && other !== undefined) {
            findings.push(
                finding(
                    "LVS-FORWARD-TWICE",
                    other.at,
                    `${first.name} is ${first.value}, and ${other.name} is ${other.value}: they are one switch`,
                ),
            );
        }
        const none = said.find((each) => each.off);
        const server = none === undefined ? undefined : natServer(inputs, family);
        if (none === undefined || server === undefined) continue;
        findings.push(
            finding(
                "LVS-NAT-FORWARD",
                none.at,
                `${server} is reached by nat, which forwards packets: leave this out, or use another forwarding method`,
            ),
        );
    }
    const conntrack = "net.ipv4.vs.conntrack";
    if ((masquerade ?? []).length > 0 && off(sysctls?.[conntrack])) {
        findings.push(
            finding(
                "LVS-MASQUERADE-CONNTRACK",
                property(conntrack),
                `masquerade needs ${conntrack}: without it what IPVS forwards passes by masquerading`,
            ),
        );
    }
    return findings;
}

function natServer(inputs: DirectorInputs, family: "ipv4" | "ipv6"): string | undefined {
    return servicesOf(inputs)
        .flatMap(({ id, fields, at }) => inlineServers(id, fields, at))
        .find(
            ({ address, fields }) =>
                destinationValue(fields).forwarding === "nat" && address.includes(":") === (family === "ipv6"),
        )?.address;
}

/** The FTP helper rewrites addresses inside packets, which only nat lets it do. */
function helperFindings(inputs: DirectorInputs): Finding[] {
    const { ftp } = inputs;
    if (ftp === undefined) return [];
    const ports = ftp.ports ?? [21];
    const isFtp = (id: ServiceIdentity) => "protocol" in id && id.protocol === "tcp" && ports.includes(id.port);
    return servicesOf(inputs)
        .filter(({ id }) => isFtp(id))
        .flatMap(({ id, fields, at }) => inlineServers(id, fields, at))
        .filter(({ fields }) => destinationValue(fields).forwarding !== "nat")
        .map(({ fields, at }) =>
            finding(
                "LVS-FTP-METHOD",
                `${at}.forwarding`,
                `the FTP helper works by nat alone; by ${destinationValue(fields).forwarding} FTP needs persistence over its data ports (port 0, or a firewall mark)`,
            ),
        );
}

/** struct iphdr or ipv6hdr, and udphdr, of the largest IP packet (ip_vs_sync.c, start_sync_thread). */
const syncHeaders = { ipv4: 28, ipv6: 48 };

function syncFindings({ sync }: DirectorInputs): Finding[] {
    return (["master", "backup"] as const).flatMap((role) => {
        const { maxlen, group = defaults.syncGroup } = sync?.[role] ?? {};
        const findings: Finding[] = [];
        if (!isMulticast(group)) {
            findings.push(
                finding(
                    "LVS-SYNC-GROUP",
                    `sync.${role}.group`,
                    `${group} is no multicast group: ipvsadm refuses it; leave it out for ${defaults.syncGroup}`,
                ),
            );
        }
        const least = role === "backup" ? limits.syncMaxlenBackup.min : limits.syncMaxlen.min;
        const most = 65535 - syncHeaders[familyOf(group)];
        if (maxlen !== undefined && (maxlen < least || maxlen > most)) {
            findings.push(
                finding(
                    "LVS-SYNC-MAXLEN",
                    `sync.${role}.maxlen`,
                    `a ${role} daemon of the group ${group} takes messages of ${least} to ${most} bytes: the kernel would make ${Math.min(Math.max(maxlen, least), most)} of ${maxlen} silently`,
                ),
            );
        }
        return findings;
    });
}

/** The kernel asks whether a backup daemon runs, not who has the VIP (sysctl_backup_only in ip_vs.h). */
function backupOnly({ sync, sysctls }: DirectorInputs): Finding[] {
    const key = "net.ipv4.vs.backup_only";
    if (sync?.master === undefined || sync.backup === undefined || (sysctls?.[key] ?? "0").trim() === "0") return [];
    return [
        finding(
            "LVS-BACKUP-ONLY",
            property(key),
            `with ${key} ${sysctls![key]} IPVS balances nothing while a backup daemon runs, and this director runs one as a master, too: leave out sync.backup, or have keepalived run the one daemon or the other (lvs_sync_daemon)`,
        ),
    ];
}

/** What a director shows before anything is done there; its services apart. */
export function directorHostFindings(inputs: DirectorInputs, view: HostView): Finding[] {
    return [
        ...unknownSettings(inputs.sysctls, view),
        ...connectionTable(inputs, view),
        ...reuseDelay(inputs, view),
        ...sourceAddressFindings(inputs, view),
        ...keepers(view.probe).map(({ who, exclude }) =>
            finding(
                "LVS-TABLE-KEPT",
                "",
                `${who} keeps this host's IPVS table, and removes services that are not its own: name the addresses of yours in its ${exclude}, or use another host`,
            ),
        ),
    ];
}

/** Programs of Kubernetes that keep the whole IPVS table, and the option that makes them leave networks alone. */
const EXCLUDES: Record<string, string> = { "kube-proxy": "--ipvs-exclude-cidrs", "kube-router": "--excluded-cidrs" };

/** Who takes the whole table of a host for its own. */
export function keepers(probe: Probe): { who: string; exclude: string }[] {
    return lines(probe, "facts").flatMap((line) => {
        const who = /^keeper=(.+)$/.exec(line)?.[1] ?? "";
        const exclude = EXCLUDES[who];
        return exclude === undefined ? [] : [{ who, exclude }];
    });
}

/** The table's size is taken when ip_vs is loaded, which a running table prevents. */
function connectionTable({ connTabBits }: DirectorInputs, view: HostView): Finding[] {
    const release = fact(view.probe, "release") ?? "";
    const gate = kernelGate("connTabBits")!;
    const running = lines(view.probe, "parameters")
        .map((line) => /^ip_vs\.conn_tab_bits (\d+)/.exec(line)?.[1])
        .find((bits) => bits !== undefined);
    const services = view.objects.get("service")?.size ?? 0;
    if (connTabBits === undefined || Number(running) === connTabBits) return [];
    // ip_vs_conn_init takes the default of its build instead.
    if (connTabBits > smallTabBits && isBefore(release, gate.since)) {
        return [
            finding(
                "LVS-CONN-TAB",
                "connTabBits",
                `kernels take more than 2^${smallTabBits} places since ${gate.since}, and this is ${release}, which would make a table of its default size: set it to ${smallTabBits} or less`,
            ),
        ];
    }
    if (running === undefined || services === 0) return [];
    return [
        finding(
            "LVS-CONN-TAB",
            "connTabBits",
            `ip_vs runs with 2^${running} places and carries ${services} services: it takes 2^${connTabBits} only when it is loaded anew, after a reboot or in a maintenance window`,
        ),
    ];
}

/** Answers to an address that the director does not have come back only if somebody sends them there. */
function sourceAddressFindings({ masquerade }: DirectorInputs, view: HostView): Finding[] {
    return (masquerade ?? []).flatMap(({ to }, index) =>
        to === undefined || isLocal(view, to)
            ? []
            : [
                  finding(
                      "LVS-SNAT-ADDRESS",
                      `masquerade[${index}].to`,
                      `no interface of this director has ${to}: answers come back only where a router sends that address here`,
                  ),
              ],
    );
}

/** kubernetes#81775: a client's port that is used again waits a second, on kernels from 4.1 until 5.9. */
function reuseDelay({ sysctls, masquerade }: DirectorInputs, view: HostView): Finding[] {
    const release = fact(view.probe, "release") ?? "";
    const on = (name: string, start: string) => (willBe(sysctls, view, `net.ipv4.vs.${name}`) ?? start) === "1";
    const delays = !isBefore(release, "4.1") && isBefore(release, kernelGate("reuse")!.since);
    const conntrack = (masquerade ?? []).length > 0 || on("conntrack", "0");
    if (!delays || !conntrack || !on("conn_reuse_mode", "1")) return [];
    return [
        finding(
            "LVS-REUSE-DELAY",
            "sysctls",
            `with net.ipv4.vs.conntrack 1 and net.ipv4.vs.conn_reuse_mode 1 kernel ${release} delays a connection from a port that was used before by a second: set conn_reuse_mode to 0, or use 5.9 or later`,
        ),
    ];
}
