/** What inputs say of kernel settings, against their ranges and against what a host has. */
import type { DirectorInputs } from "../inputs/director";
import { isBefore } from "../ipvs/gates";
import { takesValue, takesWords, vsSetting } from "../ipvs/sysctls";
import { fact } from "../kinds/probe";
import type { Finding, HostView, Want } from "../kinds/want";
import { finding } from "./codes";
import { settingOf } from "./network";

type Sysctls = DirectorInputs["sysctls"];

/** Values that a setting of IPVS does not take. */
export function settingValues(sysctls: Sysctls): Finding[] {
    return Object.entries(sysctls ?? {}).flatMap(([key, value]) => {
        const setting = vsSetting(key);
        if (setting === undefined || takesValue(setting.takes, value)) return [];
        return [
            finding(
                "LVS-SYSCTL-VALUE",
                property(key),
                `${key} takes ${takesWords(setting.takes)}, not ${JSON.stringify(value)}`,
            ),
        ];
    });
}

/** Settings that the running kernel does not have. Until IPVS is loaded, known by its age alone. */
export function unknownSettings(sysctls: Sysctls, view: HostView): Finding[] {
    const known = [...(view.objects.get("sysctl")?.keys() ?? [])].filter((key) => nameOf(key) !== undefined);
    const release = fact(view.probe, "release") ?? "";
    return Object.keys(sysctls ?? {})
        .filter((key) => nameOf(key) !== undefined && !known.includes(key) && !empty.has(nameOf(key)!))
        .flatMap((key) => {
            const setting = vsSetting(key);
            const young = setting?.since !== undefined && isBefore(release, setting.since);
            // A scheduler's own setting comes with its module, which is loaded for it.
            if (setting?.module !== undefined || (known.length === 0 && !young)) return [];
            const since = young ? `: it came with kernel ${setting.since}, and this is ${release}` : "";
            const has = known.length === 0 ? "" : `; of IPVS it has ${known.map(nameOf).join(", ")}`;
            return [
                finding(
                    "LVS-SYSCTL",
                    property(key),
                    `the running kernel has no setting ${key}${since}${has}: leave it out here`,
                ),
            ];
        });
}

/** Settings of an interface by name: what a real server can live with. Of IPv4's the larger one of `all` and its own counts. */
const bearable: Record<string, (effective: number) => boolean> = {
    arp_ignore: (value) => value === 1 || value === 2,
    arp_announce: (value) => value === 2,
    rp_filter: (value) => value !== 1,
    accept_redirects: (value) => value === 0,
};

/** Declared settings that undo what the resource itself needs. `view`: undefined in a preview. */
export function undoneSettings(needs: Want[], sysctls: Sysctls, view: HostView | undefined): Finding[] {
    return needs.flatMap(({ kind, key, value }) => {
        const [, family, , device = "", name = ""] = key.split(".");
        if (kind !== "sysctl" || bearable[name] === undefined) return [];
        const all = family === "ipv4" ? key.replace(`.${device}.`, ".all.") : key;
        const said = [key, all].find((each) => sysctls?.[each] !== undefined);
        if (said === undefined) return [];
        const running = view === undefined ? sysctls?.[all] : willBe(sysctls, view, all);
        const effective = Math.max(Number(sysctls?.[key] ?? value), family === "ipv4" ? Number(running ?? 0) : 0);
        if (bearable[name](effective)) return [];
        return [
            finding(
                "LVS-CONTRADICTION",
                property(said),
                `${said} ${sysctls?.[said]} undoes ${key} ${String(value)}, which this real server needs: leave it out`,
            ),
        ];
    });
}

/** Settings that have no text unless they are set, and so are not seen. */
const empty = new Set(["est_cpulist"]);

/** The value that a setting will have on a host: as wanted, else as it runs; undefined: the host does not say. */
export function willBe(sysctls: Sysctls, view: HostView, key: string): string | undefined {
    return sysctls?.[key]?.trim() ?? settingOf(view, key);
}

export function property(key: string): string {
    return `sysctls[${JSON.stringify(key)}]`;
}

function nameOf(key: string): string | undefined {
    return key.startsWith("net.ipv4.vs.") ? key.slice("net.ipv4.vs.".length) : undefined;
}
