/** What this host's ipvsadm knows, out of the words inside the program: to run it would load IPVS. */
import { type IpvsadmOption, ipvsadmOptions } from "../ipvs/gates";
import type { DestinationValue, ServiceValue } from "../ipvs/model";
import { lines } from "../kinds/probe";
import type { Finding, HostView, Want } from "../kinds/want";
import { finding } from "./codes";

export interface Ipvsadm {
    /** Such as 1.31. */
    version: string;
    lacks: readonly IpvsadmOption[];
}

/** Undefined: there is none, or it is not a program that can be looked into (a wrapper). */
export function ipvsadmOf({ probe }: HostView): Ipvsadm | undefined {
    const words = lines(probe, "ipvsadm");
    const version = words.map((word) => /^v(\d[\d.]*) \d/.exec(word)?.[1]).find((each) => each !== undefined);
    if (version === undefined) return undefined;
    return { version, lacks: ipvsadmOptions.filter(({ option }) => !words.includes(option)) };
}

/** What is wanted and the host's ipvsadm cannot be told. */
export function ipvsadmFindings(view: HostView, wants: Want[]): Finding[] {
    const ipvsadm = ipvsadmOf(view);
    if (ipvsadm === undefined) return [];
    const needed = new Map(wants.flatMap((want) => optionsOf(want).map((option) => [option, want] as const)));
    return ipvsadm.lacks.flatMap(({ option, title, since }) => {
        const want = needed.get(option);
        if (want === undefined) return [];
        return [
            finding(
                "LVS-IPVSADM",
                "",
                `${want.kind} ${want.key} needs --${option} (${title}), which this host's ipvsadm ${ipvsadm.version} does not know: install ipvsadm ${since} or later`,
            ),
        ];
    });
}

function optionsOf({ kind, key, value }: Want): string[] {
    if (kind === "sync") return ["sync-maxlen"];
    if (kind === "service") {
        const { flags, onePacket } = value as unknown as ServiceValue;
        return [
            ...(flags.length > 0 ? ["sched-flags"] : []),
            ...(flags.some((flag) => flag.startsWith("mh-")) ? ["mh-port"] : []),
            ...(onePacket ? ["ops"] : []),
            ...(key.startsWith("sctp/") ? ["sctp-service"] : []),
        ];
    }
    if (kind !== "destination") return [];
    const { tunnel } = value as unknown as DestinationValue;
    return tunnel === null || tunnel.type === "ipip" ? [] : ["tun-type", "tun-nocsum"];
}
