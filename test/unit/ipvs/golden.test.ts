/**
 * What a real kernel and a real ipvsadm printed (golden/, taken by golden/capture.mjs on a lab), and what we make of
 * it. UPDATE_GOLDEN=1 writes our half anew; read the difference.
 */
import { readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import {
    parseConnections,
    parseDaemons,
    parseSize,
    parseTable,
    parseTimeouts,
    parseVersion,
    type Table,
} from "../../../provider/ipvs/parse";
import { addDestination, addService, restoreLine } from "../../../provider/ipvs/render";
import { ModelOfIpvsadm, Refused } from "./model-of-ipvsadm";

const golden = (...path: string[]) => readFileSync(join(__dirname, "golden", ...path), "utf8");

function expectGolden(text: string, file: string): void {
    if (process.env.UPDATE_GOLDEN === "1") {
        writeFileSync(join(__dirname, "golden", "tables", file), text);
    }
    expect(text).toBe(golden("tables", file));
}

const names = readdirSync(join(__dirname, "golden", "tables"))
    .filter((file) => file.endsWith(".commands"))
    .map((file) => file.slice(0, -".commands".length));

const read = (name: string): Table =>
    parseTable(golden("tables", `${name}.save`), golden("tables", `${name}.thresholds`));

/** A line for every object, to be read. */
function rows(map: Map<string, unknown>): string {
    return `{\n${[...map].map(([key, value]) => `    ${JSON.stringify(key)}: ${JSON.stringify(value)}`).join(",\n")}\n}`;
}

/** A table as our renderer says it to `ipvsadm -R`. */
function rendered({ services, destinations }: Table): string {
    return [
        ...[...services].map(([key, value]) => addService(key, value)),
        ...[...destinations].map(([key, value]) => addDestination(key, value)),
    ]
        .map((words) => `${restoreLine(words)}\n`)
        .join("");
}

test("there is something to compare with", () => {
    expect(names).toEqual(["empty", "marks", "persistence", "real-servers", "rewritten", "schedulers"]);
});

describe.each(names)("%s", (name) => {
    test("is read as what stands in the kernel", () => {
        const { services, destinations } = read(name);
        expectGolden(`{\n"services": ${rows(services)},\n"destinations": ${rows(destinations)}\n}\n`, `${name}.json`);
    });

    test("is what the model of ipvsadm makes of the same commands, line for line", () => {
        const ipvsadm = new ModelOfIpvsadm();
        ipvsadm.restore(golden("tables", `${name}.commands`));
        expect(ipvsadm.save().split("\n").sort()).toEqual(golden("tables", `${name}.save`).split("\n").sort());
        expect(blocks(ipvsadm.thresholds())).toEqual(blocks(golden("tables", `${name}.thresholds`)));
        expect(blocks(ipvsadm.proc())).toEqual(blocks(golden("tables", `${name}.proc`)));
    });

    test("has every destination in /proc/net/ip_vs, under its own key", () => {
        const counts = parseConnections(golden("tables", `${name}.proc`));
        const { destinations } = read(name);
        for (const [key, { weight }] of destinations) {
            expect([key, counts.get(key)]).toEqual([key, { active: 0, inactive: 0, weight }]);
        }
    });
});

/**
 * The services of a listing, each with its real servers, without their order: the kernel's is that of its hash, and
 * ipvsadm sorts by differences that overflow (a mark of 2^31 before or after 1, as it comes).
 */
function blocks(text: string): string[] {
    return text
        .replace(/\n$/, "")
        .split(/\n(?! )/)
        .map((block) => block.split("\n").sort().join("\n"))
        .sort();
}

test.each(names.filter((name) => name !== "rewritten"))(
    "%s is written by our renderer so that a real ipvsadm -R makes the same table",
    (name) => {
        // golden/capture.mjs gave this very text to a kernel and compared.
        expectGolden(rendered(read(name)), `${name}.rendered`);
    },
);

describe("what ipvsadm or the kernel refuses, the model refuses", () => {
    const commands = golden("refused.commands").trim().split("\n");
    const answers = golden("host", "refused").trim().split("\n");

    test.each(commands.map((command, index) => [command, answers[index]!]))("ipvsadm %s → %s", (command, answer) => {
        const ipvsadm = new ModelOfIpvsadm();
        ipvsadm.restore("-A -t 192.0.2.1:80\n-A -t [2001:db8::1]:80\n-A -f 1");
        expect(answer).toMatch(/ \[(2|255)\]$/);
        if (!/-s nosuch|--pe nosuch/.test(command)) {
            expect(() => ipvsadm.run(command.split(" "))).toThrow(Refused);
        }
    });
});

test("timeouts are read", () => {
    expect(parseTimeouts(golden("host", "timeouts-default"))).toEqual({ tcp: 900, tcpfin: 120, udp: 300 });
    expect(parseTimeouts(golden("host", "timeouts-set"))).toEqual({ tcp: 1200, tcpfin: 60, udp: 2678400 });
});

test("sync daemons are read, the kernel's defaults filled in and its lower bound for a backup's maxlen seen", () => {
    expect(parseDaemons(golden("host", "daemons-none"))).toEqual([]);
    expect(parseDaemons(golden("host", "daemons-master"))).toEqual([
        { role: "master", interface: "eth0", syncid: 7, maxlen: 1400, group: "224.0.0.82", port: 8849, ttl: 2 },
    ]);
    expect(parseDaemons(golden("host", "daemons-both"))).toEqual([
        { role: "master", interface: "eth0", syncid: 0, maxlen: 1472, group: "224.0.0.81", port: 8848, ttl: 1 },
        { role: "backup", interface: "eth0", syncid: 255, maxlen: 1024, group: "ff02::81", port: 65535, ttl: 255 },
    ]);
});

test("versions and the size of the connection table are read", () => {
    expect(parseVersion(golden("host", "version"))).toEqual({ ipvsadm: "1.31", ipvs: "1.2.1" });
    expect(parseSize(golden("tables", "empty.thresholds"))).toBe(4096);
    expect(parseSize(golden("tables", "marks.proc"))).toBe(4096);
});

test("connections are counted, and stand nowhere in the values", () => {
    const v4 = "tcp/10.77.1.10:8000/10.77.1.10:8000";
    const v6 = "tcp/[fd00:1::10]:8000/[fd00:1::10]:8000";
    expect(Object.fromEntries(parseConnections(golden("host", "connections.proc")))).toEqual({
        [v4]: { active: 2, inactive: 1, weight: 3 },
        [v6]: { active: 3, inactive: 0, weight: 4 },
    });
    const table = parseTable(golden("host", "connections.save"), golden("host", "connections.thresholds"));
    expect(Object.fromEntries(table.connections)).toEqual({
        [v4]: { active: 2, inactive: 1 },
        [v6]: { active: 3, inactive: 0 },
    });
    expect(table.destinations.get(v4)).toEqual({
        forwarding: "nat",
        weight: 3,
        upperThreshold: 1000,
        lowerThreshold: 10,
        tunnel: null,
    });
});
