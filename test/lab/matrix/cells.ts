/** The cells of the packet matrix: every way to forward, for every pair of families that the kernel takes. */

export interface Cell {
    /** "tun gue csum, IPv6 in IPv4". */
    name: string;
    forwarding: "nat" | "dr" | "tun";
    tunnel?: { type: "ipip" | "gue" | "gre"; port?: number; checksum?: "none" | "csum" | "remcsum" };
    vip: string;
    /** The real server's host in the lab, and its address. */
    host: "near" | "inside" | "far";
    rip: string;
}

const TUNNELS: NonNullable<Cell["tunnel"]>[] = [
    { type: "ipip" },
    { type: "gue", port: 6080, checksum: "none" },
    { type: "gue", port: 6080, checksum: "csum" },
    { type: "gue", port: 6080, checksum: "remcsum" },
    { type: "gre", checksum: "none" },
    { type: "gre", checksum: "csum" },
];

type Family = 4 | 6;
const FAMILIES: readonly Family[] = [4, 6];

/** Two GRE devices, with checksums and without, cannot have one local address: that with has an address of its own. */
export const SECOND_ADDRESS = { 4: "10.77.5.22", 6: "fd77:5::22" };

export const cells: Cell[] = [
    ...FAMILIES.map((family) => ({ forwarding: "nat" as const, vipFamily: family, ripFamily: family })),
    ...FAMILIES.map((family) => ({ forwarding: "dr" as const, vipFamily: family, ripFamily: family })),
    ...TUNNELS.flatMap((tunnel) =>
        FAMILIES.flatMap((vipFamily) =>
            FAMILIES.map((ripFamily) => ({ forwarding: "tun" as const, tunnel, vipFamily, ripFamily })),
        ),
    ),
].map(({ forwarding, vipFamily, ripFamily, ...rest }, index): Cell => {
    const tunnel = "tunnel" in rest ? rest.tunnel : undefined;
    const host = { nat: "inside", dr: "near", tun: "far" }[forwarding] as Cell["host"];
    const network = { inside: 2, near: 1, far: 5 }[host];
    const method = [forwarding, tunnel?.type, tunnel?.type === "ipip" ? undefined : tunnel?.checksum];
    const families = vipFamily === ripFamily ? `IPv${vipFamily}` : `IPv${vipFamily} in IPv${ripFamily}`;
    return {
        name: `${method.filter((word) => word !== undefined).join(" ")}, ${families}`,
        forwarding,
        ...(tunnel === undefined ? {} : { tunnel }),
        vip: vipFamily === 4 ? `10.77.1.${100 + index}` : `fd77:1::${100 + index}`,
        host,
        rip:
            tunnel?.type === "gre" && tunnel.checksum === "csum"
                ? SECOND_ADDRESS[ripFamily]
                : ripFamily === 4
                  ? `10.77.${network}.21`
                  : `fd77:${network}::21`,
    };
});

/** What is asked in each cell. */
export const questions = ["tcp", "tcp large", "udp", "udp large"] as const;

/** Who answered, or what went wrong, by cell and question. */
export type Results = Map<string, Record<string, string>>;

/** Rows of the table in docs/matrix.md, by the cell's name. */
export function rows(results: Results): Map<string, string> {
    return new Map(
        [...results].map(([name, answers]) => [
            name,
            `| ${name} | ${questions.map((question) => answers[question]).join(" | ")} |`,
        ]),
    );
}
