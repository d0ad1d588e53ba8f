import { type Kind, ranks } from "./kind";
import { lines } from "./probe";

/** A UDP port on which the kernel takes GUE apart, keyed `ipv4/6080`; the inner packet goes to the tunnel device. */
export const fouKind: Kind<"gue"> = {
    name: "fou",
    group: "tunnel",
    nature: "thing",
    tool: "ip",
    rank: () => ranks.fou,
    read: (probe) =>
        new Map(
            lines(probe, "fou").flatMap((line): [string, "gue"][] => {
                const port = /\bport (\d+)/.exec(line)?.[1];
                return port === undefined || !/\bgue\b/.test(line)
                    ? []
                    : [[`${/-6/.test(line) ? "ipv6" : "ipv4"}/${port}`, "gue"]];
            }),
        ),
    set: (key) => [{ run: ["ip", ...words("add", key), "gue"] }],
    unset: (key) => [{ run: ["ip", ...words("del", key)] }],
    describe: (key) => `GUE port ${key}`,
};

function words(verb: string, key: string): string[] {
    const [family = "", port = ""] = key.split("/");
    return [...(family === "ipv6" ? ["-6"] : []), "fou", verb, "port", port];
}
