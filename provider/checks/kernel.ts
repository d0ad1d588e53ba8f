/**
 * The checklist an LVS how-to starts with, done automatically: what this kernel and this host have of what LVS needs.
 * Rows are data; a new option is a row. Read-only: it loads nothing by looking.
 */
import { isBefore, kernelGate } from "../ipvs/gates";
import { engines, schedulers } from "../ipvs/schedulers";
import { vsSetting, vsSettings } from "../ipvs/sysctls";
import type { Value } from "../kinds";
import { fact, lines } from "../kinds/probe";
import type { HostView } from "../kinds/want";
import { keepers } from "./director";
import { speaksArp } from "./host";
import { ipvsadmOf } from "./ipvsadm";
import { type ModuleRow, moduleRows, moduleState, moduleTrouble, optionOf } from "./modules";
import { settingOf } from "./network";

export interface ChecklistItem {
    /** What is looked at, in LVS's words. */
    item: string;
    /** `ok`: there, or can be loaded; `missing`: it cannot; `unknown`: the host does not say. */
    state: "ok" | "missing" | "unknown";
    /** What was found. */
    found: string;
    /** What to do, where something is missing and needed. */
    remedy?: string;
}

/** What somebody asks of a host: an object of a ledger. */
export interface Asked {
    /** Who asks. */
    owner: string;
    kind: string;
    key: string;
    value: Value;
}

const rows: ModuleRow[] = [
    ...moduleRows.slice(0, 1),
    ...schedulers.map(({ name, module, config, title }) => ({
        item: `scheduler ${name} (${title}${sinceOf(name)})`,
        module,
        config: config.replace(/^CONFIG_/, ""),
    })),
    ...engines.map(({ name, module, config, title }) => ({
        item: `persistence engine ${name} (${title})`,
        module,
        config: config.replace(/^CONFIG_/, ""),
    })),
    ...moduleRows.slice(1),
];

function sinceOf(name: string): string {
    const gate = kernelGate(name);
    return gate === undefined ? "" : `, since ${gate.since}`;
}

/** Settings of the kernel's configuration that are no modules. */
const options = [
    { item: "loadable modules", config: "MODULES" },
    { item: "IPVS over IPv6", config: "IP_VS_IPV6" },
    { item: "IPVS with conntrack (masquerading of forwarded packets)", config: "IP_VS_NFCT" },
    { item: "IPVS for TCP", config: "IP_VS_PROTO_TCP" },
    { item: "IPVS for UDP", config: "IP_VS_PROTO_UDP" },
    { item: "IPVS for SCTP", config: "IP_VS_PROTO_SCTP" },
    { item: "GUE decapsulation by tunnel devices", config: "NET_FOU_IP_TUNNELS" },
    { item: "GUE decapsulation by tunnel devices over IPv6", config: "IPV6_FOU_TUNNEL" },
];

/** The programs that a host needs, beside ipvsadm; a packet filter is one of two. */
const tools = ["ip", "nft", "flock", "timeout", "arping", "modprobe", "systemctl"];

/** The whole checklist of a host. `asked`: what its ledger says that it should have. */
export function checklist(view: HostView, asked: readonly Asked[] = []): ChecklistItem[] {
    const { probe } = view;
    return [
        kernels(view),
        ...(fact(probe, "os") === undefined
            ? []
            : [{ item: "system", state: "ok" as const, found: fact(probe, "os")! }]),
        ...rows.map((row) => moduleItem(view, row)),
        ...options.map(({ item, config }) => optionItem(view, item, config)),
        ...["gue", "gre", "checksum", "sync"].map((name) => gateItem(view, name)),
        connectionTable(view),
        settingsItem(view),
        ipvsadmItem(view),
        ...tools.map((tool) => toolItem(view, tool)),
        ...lines(probe, "facts")
            .filter((line) => line.startsWith("checker="))
            .map(
                (line): ChecklistItem => ({
                    item: "health checker",
                    state: "ok",
                    found: `${line.slice(8)} runs here: use \`vip.external\` and \`keepWeight\` for what it moves`,
                }),
            ),
        ...keepers(probe).map(
            ({ who, exclude }): ChecklistItem => ({
                item: "keeper of the IPVS table",
                state: "ok",
                found: `${who} runs here, and removes services that are not its own, unless its ${exclude} names them`,
            }),
        ),
        ...asked.flatMap((each) => askedItem(view, each)),
    ];
}

function toolItem({ probe }: HostView, tool: string): ChecklistItem {
    const item = `program ${tool}`;
    const has = (name: string) => fact(probe, `tool.${name}`) !== undefined;
    if (tool === "arping" && speaksArp(probe)) {
        return { item, state: "ok", found: has("perl") ? "not needed: perl speaks ARP" : "on PATH" };
    }
    if (tool === "arping" && has(tool)) {
        const found = "on PATH, but not that of iputils: its options mean something else";
        return { item, state: "missing", found, remedy: "install iputils-arping, or perl" };
    }
    if (has(tool)) return { item, state: "ok", found: "on PATH" };
    if (tool === "nft" && has("iptables")) {
        const both = has("ip6tables");
        return {
            ...{ item, state: "ok" },
            found: `not on PATH: iptables takes its place${both ? "" : ", for IPv4 alone (there is no ip6tables)"}`,
        };
    }
    const remedy = tool === "nft" ? "install nftables (or iptables)" : `install ${tool}`;
    return { item, state: "missing", found: "not on PATH", remedy };
}

/** The running kernel and the installed ones: an upgrade that was not booted leaves the running one without modules. */
function kernels({ probe }: HostView): ChecklistItem {
    const release = fact(probe, "release");
    const installed = lines(probe, "installed");
    const item = "running kernel";
    if (release === undefined) return { item, state: "unknown", found: "the host does not say" };
    const newest = [...installed].sort(byVersion).at(-1);
    if (installed.length > 0 && !installed.includes(release)) {
        return {
            ...{
                item,
                state: "missing",
                found: `${release}, and its modules are gone; installed: ${installed.join(", ")}`,
            },
            remedy: `reboot into ${newest}`,
        };
    }
    const pending = newest !== undefined && byVersion(newest, release) > 0;
    return { item, state: "ok", found: pending ? `${release}; ${newest} is installed: a reboot is pending` : release };
}

const byVersion = new Intl.Collator("en", { numeric: true }).compare;

function moduleItem(view: HostView, { item, module }: ModuleRow): ChecklistItem {
    const found = moduleState(view, module);
    const trouble = moduleTrouble(view, module);
    if (trouble !== undefined) {
        // Without IPVS nothing works; of the rest nobody needs everything.
        const needed = module === "ip_vs";
        return { item, state: "missing", found: trouble.what, ...(needed ? { remedy: trouble.remedy } : {}) };
    }
    const words = {
        loaded: `module ${module} is loaded`,
        builtin: "built into the kernel",
        loadable: `module ${module} can be loaded`,
    };
    return found.state in words
        ? { item, state: "ok", found: words[found.state as keyof typeof words] }
        : { item, state: "unknown", found: "the host does not say" };
}

function optionItem(view: HostView, item: string, config: string): ChecklistItem {
    const option = optionOf(view, config);
    if (option !== undefined && option !== "n") return { item, state: "ok", found: `CONFIG_${config}=${option}` };
    return lines(view.probe, "config").length === 0
        ? { item, state: "unknown", found: "the kernel's configuration is not readable" }
        : { item, state: "missing", found: `CONFIG_${config} is not set` };
}

/** What has no module of its own: told by the kernel's age. */
function gateItem({ probe }: HostView, name: string): ChecklistItem {
    const { title, since } = kernelGate(name)!;
    const release = fact(probe, "release");
    const item = `IPVS with ${title}`;
    if (release === undefined) return { item, state: "unknown", found: "the host does not say" };
    return isBefore(release, since)
        ? { item, state: "missing", found: `it came with kernel ${since}` }
        : { item, state: "ok", found: `since ${since}` };
}

/** 2^N places: as loaded, else as the kernel was built. */
function connectionTable(view: HostView): ChecklistItem {
    const running = connTabBits(view);
    const bits = running ?? optionOf(view, "IP_VS_TAB_BITS");
    return {
        item: "connection table",
        state: bits === undefined ? "unknown" : "ok",
        found:
            bits === undefined
                ? "ip_vs is not loaded"
                : `2^${bits} = ${2 ** Number(bits)} places${running === undefined ? ", when loaded" : ""}`,
    };
}

/** As ip_vs was loaded. */
function connTabBits({ probe }: HostView): string | undefined {
    return lines(probe, "parameters")
        .map((line) => /^ip_vs\.conn_tab_bits (\d+)/.exec(line)?.[1])
        .find((each) => each !== undefined);
}

function settingsItem(view: HostView): ChecklistItem {
    const item = "settings net.ipv4.vs.*";
    const lacks = vsSettings.filter(
        ({ name, module, takes }) =>
            module === undefined && takes.kind !== "cpus" && settingOf(view, `net.ipv4.vs.${name}`) === undefined,
    );
    const known = vsSettings.length - lacks.length;
    if (settingOf(view, "net.ipv4.vs.drop_entry") === undefined)
        return { item, state: "unknown", found: "ip_vs is not loaded" };
    const words = lacks.map(({ name, since }) => `${name}${since === undefined ? "" : ` (since ${since})`}`);
    return { item, state: "ok", found: `${known}${words.length === 0 ? "" : `; not here: ${words.join(", ")}`}` };
}

function ipvsadmItem(view: HostView): ChecklistItem {
    const item = "program ipvsadm";
    if (fact(view.probe, "tool.ipvsadm") === undefined)
        return { item, state: "missing", found: "not on PATH", remedy: "install ipvsadm" };
    const ipvsadm = ipvsadmOf(view);
    if (ipvsadm === undefined) return { item, state: "ok", found: "on PATH; it does not show its version" };
    const lacks = ipvsadm.lacks.map(({ title, since }) => `${title} (since ${since})`);
    return {
        ...{ item, state: "ok" },
        found: `version ${ipvsadm.version}${lacks.length === 0 ? ", with all that is used" : `, without ${lacks.join(", ")}`}`,
    };
}

/** What a ledger asks of the kernel, and it has not. */
function askedItem(view: HostView, { owner, kind, key, value }: Asked): ChecklistItem[] {
    const item = `asked for by ${owner}: ${kind} ${key}`;
    if (kind === "module") {
        const trouble = moduleTrouble(view, key);
        return trouble === undefined ? [] : [{ item, state: "missing", found: trouble.what, remedy: trouble.remedy }];
    }
    if (kind === "parameter" && key === "ip_vs.conn_tab_bits") {
        const running = connTabBits(view);
        if (running === undefined || running === String(value)) return [];
        return [
            {
                ...{ item, state: "missing", found: `2^${String(value)} places; ip_vs runs with 2^${running}` },
                remedy: "it takes the size when it is loaded: reboot, or load it anew in a maintenance window",
            },
        ];
    }
    const loaded = settingOf(view, "net.ipv4.vs.drop_entry") !== undefined;
    if (kind === "sysctl" && vsSetting(key) !== undefined && loaded && settingOf(view, key) === undefined) {
        const { since, takes } = vsSetting(key)!;
        if (takes.kind === "cpus") return [];
        return [
            {
                ...{ item, state: "missing", found: "the running kernel has no such setting" },
                remedy:
                    since === undefined ? "leave it out on this host" : `use kernel ${since} or later, or leave it out`,
            },
        ];
    }
    return [];
}

/** Whether a host has what a person names: a scheduler, an engine, a tunnel type, a setting, a module. */
export function need(view: HostView, name: string): ChecklistItem {
    const item = `needed: ${name}`;
    const module = [...schedulers, ...engines].find((one) => one.name === name)?.module ?? tunnelModules[name];
    const trouble = module === undefined ? undefined : moduleTrouble(view, module);
    if (trouble !== undefined) return { item, state: "missing", found: trouble.what, remedy: trouble.remedy };
    const gate = kernelGate(name);
    const release = fact(view.probe, "release") ?? "";
    const setting = vsSetting(name);
    if (setting !== undefined) {
        const value = settingOf(view, name);
        if (value !== undefined) return { item, state: "ok", found: `it is ${value}` };
        const loaded = settingOf(view, "net.ipv4.vs.drop_entry") !== undefined;
        if (setting.module !== undefined) return { ...need(view, setting.module.slice("ip_vs_".length)), item };
        if (!loaded && (gate === undefined || !isBefore(release, gate.since)))
            return { item, state: "unknown", found: "ip_vs is not loaded" };
    }
    if (gate !== undefined && (setting !== undefined || isBefore(release, gate.since))) {
        return {
            ...{ item, state: "missing", found: `${gate.title} came with kernel ${gate.since}; this is ${release}` },
            remedy: `use kernel ${gate.since} or later`,
        };
    }
    if (setting !== undefined)
        return { item, state: "missing", found: "the running kernel has no such setting", remedy: "leave it out here" };
    const lacking = ipvsadmOf(view)?.lacks.find(({ option }) => option === neededOptions[name]);
    if (lacking !== undefined) {
        return {
            ...{ item, state: "missing", found: `this ipvsadm does not know --${lacking.option}` },
            remedy: `install ipvsadm ${lacking.since} or later`,
        };
    }
    const row = module ?? moduleRows.find((each) => each.module === name)?.module;
    if (row === undefined) return { item, state: "unknown", found: "nothing that is known here has this name" };
    const other = moduleTrouble(view, row);
    const own = moduleItem(view, { item, module: row, config: "" });
    return other === undefined ? own : { ...own, remedy: other.remedy };
}

/** What unwraps a tunnel: a real server needs it; the director's side is told by the kernel's age. */
const tunnelModules: Record<string, string> = { ipip: "ipip", gue: "fou", gre: "ip_gre", ftp: "ip_vs_ftp" };
const neededOptions: Record<string, string> = { gue: "tun-type", gre: "tun-nocsum", mh: "mh-port" };
