/** Facts of a host that resources decide by, out of its probe. */
import { addressKey, parseAddressKey } from "../kinds/address";
import { fact, lines } from "../kinds/probe";
import type { HostView } from "../kinds/want";

/** The interface that holds an address; undefined: none does. */
export function interfaceOf(view: HostView, address: string): string | undefined {
    for (const key of view.objects.get("address")?.keys() ?? []) {
        const parts = parseAddressKey(key);
        if (parts.address.split("/")[0] === address) return parts.device;
    }
    return undefined;
}

/** Whether the host has the address on this device already, as somebody else's or as ours. */
export function holds(view: HostView, device: string, address: string): boolean {
    return view.objects.get("address")?.has(addressKey(device, address)) ?? false;
}

/** The gateway of the default route of a family; undefined: there is none, or it has no gateway. */
export function defaultGateway(view: HostView, family: "ipv4" | "ipv6"): string | undefined {
    const route = lines(view.probe, family === "ipv4" ? "route" : "route6").find((line) => line.startsWith("default "));
    return route === undefined ? undefined : /\bvia (?:inet6? )?(\S+)/.exec(route)?.[1];
}

/** What a resource's `kernel` output says: the running kernel, and what of LVS it has. */
export function kernelOf(view: HostView): Record<string, unknown> {
    const release = fact(view.probe, "release");
    const bits = lines(view.probe, "parameters")
        .map((line) => /^ip_vs\.conn_tab_bits (\d+)/.exec(line)?.[1])
        .find((each) => each !== undefined);
    return {
        ...(release === undefined ? {} : { release }),
        ...(bits === undefined ? {} : { connTabBits: Number(bits) }),
    };
}
