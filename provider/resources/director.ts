import { directorFindings, directorHostFindings } from "../checks/director";
import { hostFindings } from "../checks/host";
import { type DirectorInputs, directorSchema } from "../inputs/director";
import { defaults } from "../ipvs/limits";
import { parseServiceKey, serviceKey } from "../ipvs/model";
import { vsSetting } from "../ipvs/sysctls";
import type { Value } from "../kinds";
import { masqueradeKey } from "../kinds/dialect";
import { filterWants } from "../kinds/filter";
import type { HostView, Want } from "../kinds/want";
import { kernelOf } from "./facts";
import { reflectDirector } from "./reflect";
import type { Resource } from "./resource";
import { directorBase, moduleWant, serviceHostFindings, serviceWants, settingWant } from "./rules";

/** A director: kernel, settings, masquerading, connection synchronisation, and services that are declared inline. */
export const director: Resource<DirectorInputs> = {
    type: "Director",
    schema: directorSchema,
    id: (inputs) => inputs.name,
    replacedBy: () => [],
    parts: (inputs) => [
        {
            role: "director",
            connection: inputs.connection,
            property: "connection",
            boot: inputs.persistAcrossReboot !== false,
            settings: Object.keys(inputs.sysctls ?? {}),
            drain: defaults.drain,
            drains: drainsOf(inputs),
            wants: (view) => wants(inputs, view),
            findings: (view) => [
                ...hostFindings(view, wants(inputs, view)),
                ...directorHostFindings(inputs, view),
                ...Object.entries(inputs.virtualServices ?? {}).flatMap(([key, service]) =>
                    serviceHostFindings(
                        parseServiceKey(key),
                        service,
                        { ...inputs, at: `virtualServices[${JSON.stringify(key)}]` },
                        view,
                    ),
                ),
            ],
        },
    ],
    findings: directorFindings,
    report: (_, [host]) => ({ kernel: host === undefined ? undefined : kernelOf(host) }),
    reflect: reflectDirector,
    manner: (inputs) => ({ adopt: inputs.adopt ?? false, deleteForeign: false }),
};

function wants(inputs: DirectorInputs, view: HostView | undefined): Want[] {
    const { sysctls, timeouts, connTabBits, masquerade, sync, ftp, ipForward, ipv6Forward } = inputs;
    return unique([
        ...directorBase(inputs.persistAcrossReboot),
        ...(connTabBits === undefined
            ? []
            : [{ kind: "parameter", key: "ip_vs.conn_tab_bits", value: String(connTabBits) }]),
        ...(ftp === undefined ? [] : ftpWants(ftp.ports ?? [21])),
        ...Object.keys(sysctls ?? {})
            .flatMap((key) => vsSetting(key)?.module ?? [])
            .map(moduleWant),
        ...Object.entries(sysctls ?? {}).map(([key, value]) => settingWant(key, value)),
        ...(ipForward === undefined ? [] : [{ kind: "forwarding", key: "ipv4", value: { on: ipForward } }]),
        ...(ipv6Forward === undefined ? [] : [{ kind: "forwarding", key: "ipv6", value: { on: ipv6Forward } }]),
        ...(masquerade === undefined || masquerade.length === 0 ? [] : masqueradeWants(masquerade, view)),
        ...Object.entries(timeouts ?? {}).map(
            ([key, value]): Want => ({ kind: "timeout", key, value: value as number }),
        ),
        ...Object.entries(inputs.virtualServices ?? {}).flatMap(([key, service]) =>
            serviceWants(parseServiceKey(key), service, inputs.interface, view),
        ),
        ...Object.entries(sync ?? {}).map(
            ([role, daemon]): Want => ({
                kind: "sync",
                key: role,
                value: {
                    role,
                    interface: daemon!.interface,
                    syncid: daemon!.syncid ?? defaults.syncId,
                    maxlen: daemon!.maxlen ?? 0,
                    group: daemon!.group ?? defaults.syncGroup,
                    port: daemon!.port ?? defaults.syncPort,
                    ttl: daemon!.ttl ?? defaults.syncTtl,
                },
            }),
        ),
    ]);
}

function ftpWants(ports: number[]): Want[] {
    return [
        { kind: "module", key: "nf_conntrack", value: true },
        { kind: "parameter", key: "ip_vs_ftp.ports", value: ports.join(",") },
        { kind: "module", key: "ip_vs_ftp", value: true },
    ];
}

/** The masquerading of packets that IPVS forwards goes through conntrack, which IPVS bypasses unless it is told. */
function masqueradeWants(list: NonNullable<DirectorInputs["masquerade"]>, view: HostView | undefined): Want[] {
    return [
        ...filterWants(
            view,
            list.map(
                (each): Want => ({ kind: "masquerade", key: masqueradeKey(each), value: (each.to ?? true) as Value }),
            ),
        ),
        { kind: "sysctl", key: "net.ipv4.vs.conntrack", value: "1" },
    ];
}

/** Two services may want the same module or setting. */
function unique(list: Want[]): Want[] {
    return [...new Map(list.map((want) => [`${want.kind} ${want.key}`, want])).values()];
}

function drainsOf(inputs: DirectorInputs): Map<string, number> {
    return new Map(
        Object.entries(inputs.virtualServices ?? {}).map(([key, { drain }]) => [
            serviceKey(parseServiceKey(key)),
            drain?.timeout ?? defaults.drain,
        ]),
    );
}
