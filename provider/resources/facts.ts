/** Facts of a host that resources decide by, out of its probe. */
import { parseAddressKey } from "../kinds/address";
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
