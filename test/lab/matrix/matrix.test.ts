/**
 * Every way to forward, with real packets: over TCP and UDP, small and large, for IPv4, IPv6 and the mixed pairs; large ones
 * are larger than what fits the way once they are wrapped. `npm test` takes a seeded sample, which must come to what
 * docs/matrix.md says; `npm run test:exhaustive` takes every cell, and writes that table.
 */
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import * as fc from "fast-check";
import * as lvs from "pulumi-lvs";
import { type Lab, root, startLab } from "../../support/lab";
import { exhaustive, seed } from "../../support/sample";
import { secretsShown } from "../../support/secrets";
import { comparable, type Snapshot, snapshots } from "../../support/snapshot";
import { makeStack, type TestStack } from "../../support/stack";
import { type Cell, cells, questions, type Results, rows, SECOND_ADDRESS } from "./cells";

const PORT = 7000;
const SAMPLE = 3;
const chosen = exhaustive
    ? cells
    : fc.sample(fc.shuffledSubarray(cells, { minLength: SAMPLE, maxLength: SAMPLE }), { numRuns: 1, seed })[0]!;
const TABLE = join(root, "docs", "matrix.md");

/** One service for each cell and protocol, each with a VIP of its own and one real server. */
async function program(): Promise<void> {
    const director = new lvs.Director("lb", { connection: "lb", interface: "eth0" });
    for (const { name, forwarding, tunnel, vip, host, rip } of chosen) {
        for (const protocol of ["tcp", "udp"] as const) {
            const service = new lvs.VirtualService(`${protocol} ${name}`, {
                ...{ director, protocol, address: vip, port: PORT },
            });
            new lvs.RealServer(`${protocol} ${name}`, {
                ...{ service, address: rip, forwarding, connection: host },
                ...(tunnel === undefined ? {} : { tunnel }),
            });
        }
    }
}

describe(`the packet matrix: ${chosen.length} of ${cells.length} cells${exhaustive ? "" : `, seed ${seed}`}`, () => {
    let lab: Lab;
    let stack: TestStack;
    let before: Record<string, Snapshot>;
    const results: Results = new Map();
    const hosts = [...new Set(["lb", ...chosen.map(({ host }) => host)])];

    beforeAll(async () => {
        lab = await startLab(join(__dirname, "lab.json"));
        const second = Object.values(SECOND_ADDRESS).map(
            (address) => `ip addr add ${address}/${address.includes(":") ? "64 nodad" : 24} dev eth0`,
        );
        await lab.sh("far", second.join(" && "));
        stack = await makeStack({ program, config: { "lvs:hosts": lab.lvsHosts(...hosts) } });
        before = await snapshots(lab);
    });
    afterAll(async () => {
        await stack?.remove();
        await lab?.down();
    });

    test("all cells are made by one up", async () => {
        expect((await stack.up()).changes).toEqual({ create: 2 + 4 * chosen.length });
        for (const host of hosts.filter((each) => each !== "lb")) await serve(lab, host);
        for (const [name, answers] of await ask(lab, chosen)) results.set(name, answers);
    });

    for (const cell of chosen) {
        test(`${cell.name}: what is asked arrives, and the answer returns`, () => {
            expect(results.get(cell.name)).toEqual(Object.fromEntries(questions.map((each) => [each, cell.host])));
        });
    }

    test("a second up and a refresh change nothing", async () => {
        expect((await stack.up()).changes).toEqual({});
        expect((await stack.refresh()).changes).toEqual({});
    });

    test("destroy leaves every host as it was found", async () => {
        await stack.destroy();
        const [expected, found] = comparable(before, await snapshots(lab));
        expect(found).toEqual(expected);
        expect(await secretsShown(lab, stack)).toEqual([]);
    });

    test("the table in the docs says what was measured", () => {
        if (exhaustive) writeFileSync(TABLE, page(results));
        const documented = readFileSync(TABLE, "utf8").split("\n");
        for (const row of rows(results).values()) expect(documented).toContain(row);
    });
});

async function serve(lab: Lab, host: string): Promise<void> {
    const program = readFileSync(join(__dirname, "server.py"), "utf8");
    await lab.sh(
        host,
        `cat >/tmp/server.py <<'PROGRAM'\n${program}\nPROGRAM
        setsid python3 /tmp/server.py ${PORT} 900 </dev/null >/tmp/server.log 2>&1 &
        i=0; while [ ! -s /tmp/server.log ] && [ $i -lt 300 ]; do i=$((i+1)); sleep 0.1; done
        grep -q ready /tmp/server.log || { cat /tmp/server.log >&2; exit 1; }`,
    );
}

async function ask(lab: Lab, asked: Cell[]): Promise<Results> {
    const program = readFileSync(join(__dirname, "client.py"), "utf8");
    const printed = await lab.sh(
        "client",
        `cat >/tmp/client.py <<'PROGRAM'\n${program}\nPROGRAM
        python3 /tmp/client.py ${PORT} ${asked.map(({ vip }) => vip).join(" ")}`,
    );
    const answers: Results = new Map(asked.map(({ name }) => [name, {}]));
    for (const line of printed.split("\n").filter((each) => each !== "")) {
        const [vip, question, answer] = line.split("|") as [string, string, string];
        answers.get(asked.find((cell) => cell.vip === vip)!.name)![question] = answer;
    }
    return answers;
}

function page(results: Results): string {
    return `# The packet matrix

What \`npm run test:exhaustive\` measured on the lab's kernel (Debian 12, 6.1): the real server that answered through the VIP, for each way to forward and each pair of families that the kernel takes. The client is behind a router; real servers by \`tun\` are on a network of their own behind the same router, and every interface starts with rp_filter 1. "large" is an upload of 100,000 bytes over TCP, and a datagram of 1,450 bytes over UDP: both are larger than what fits the way once they are wrapped.

| cell | ${questions.join(" | ")} |
|---|${questions.map(() => "---|").join("")}
${[...rows(results).values()].join("\n")}
`;
}
