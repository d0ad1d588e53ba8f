/** Two directors with keepalived beside us: what the pair is for. */
import { readFileSync } from "node:fs";
import { join } from "node:path";
import type { PulumiFn } from "@pulumi/pulumi/automation";
import { type Lab, root, startLab } from "../support/lab";
import { secretsShown } from "../support/secrets";
import { comparable, type Snapshot, snapshots } from "../support/snapshot";
import { makeStack, type TestStack } from "../support/stack";
import { httpRequest, httpServer } from "./http";

const directory = join(root, "examples", "pair");
const VIP = "10.77.1.100";
const DIRECTORS = ["lb1", "lb2"] as const;
const KILOBYTES = 600;

describe("examples/pair", () => {
    let lab: Lab;
    let stack: TestStack;
    let before: Record<string, Snapshot>;

    const holdsVip = async (host: string) => (await lab.sh(host, "ip -o addr show eth0")).includes(` ${VIP}/`);
    const until = async (what: string, holds: () => Promise<boolean>) => {
        for (let n = 0; n < 60; n += 1) {
            if (await holds()) return;
            await new Promise((resolve) => setTimeout(resolve, 500));
        }
        throw new Error(`waited in vain: ${what}`);
    };

    beforeAll(async () => {
        lab = await startLab(join(directory, "lab.json"));
        const { program } = require(join(directory, "index.ts")) as { program: PulumiFn };
        stack = await makeStack({
            ...{ program, from: directory, name: "lab" },
            config: { "lvs:hosts": lab.lvsHosts(...DIRECTORS, "web1", "web2") },
        });
        await Promise.all(
            ["web1", "web2"].map((host) =>
                lab.sh(host, `${httpServer}; head -c ${KILOBYTES}k /dev/zero >/srv/www/large`),
            ),
        );
        await Promise.all(
            DIRECTORS.map((host) => {
                const config = readFileSync(join(directory, `keepalived-${host}.conf`), "utf8");
                return lab.sh(
                    host,
                    `cat >/etc/keepalived.conf <<'CONFIG'\n${config}CONFIG\nkeepalived -f /etc/keepalived.conf`,
                );
            }),
        );
        await until("lb1 has the VIP", () => holdsVip("lb1"));
        before = await snapshots(lab);
    });
    afterAll(async () => {
        await stack?.remove();
        await lab?.down();
    });

    test("both directors get the rules, and each real server its own side once", async () => {
        expect((await stack.up()).changes).toEqual({ create: 10 });
        const [first, second] = await Promise.all(DIRECTORS.map((host) => lab.sh(host, "ipvsadm -Sn")));
        expect(first).toBe(second);
        expect(await lab.sh("client", httpRequest(VIP))).toMatch(/^web[12]\n$/);
        expect((await stack.up({ refresh: true })).changes).toEqual({});
    });

    test("when the director with the VIP fails, a download goes on through the other", async () => {
        const slow = `curl -sS -m 120 --limit-rate 40k -o /dev/null -w '%{size_download}' http://${VIP}/large`;
        await lab.sh("client", `setsid sh -c "${slow}" >/tmp/download 2>&1 </dev/null &`);
        const known = async () => /ESTABLISHED.*10\.77\.1\.100:80/.test(await lab.sh("lb2", "ipvsadm -Lnc"));
        await until("lb2 is told of the connection", known);

        await lab.sh("lb1", "kill $(cat /run/keepalived.pid)");
        await until("lb2 has the VIP", () => holdsVip("lb2"));
        // As dead as it can be without the lab's own way to it: it forwards nothing any more.
        await lab.sh("lb1", "ip link set eth0 down");

        await until("the download ends", async () => (await lab.sh("client", "cat /tmp/download")) !== "");
        expect(await lab.sh("client", "cat /tmp/download")).toBe(String(KILOBYTES * 1024));
        expect(await lab.sh("client", httpRequest(VIP))).toMatch(/^web[12]\n$/);
        const stats = await lab.sh("lb2", `sleep 4; ipvsadm -Ln --stats --exact -t ${VIP}:80`);
        expect(Number(/^TCP +\S+ +\d+ +(\d+)/m.exec(stats)?.[1])).toBeGreaterThan(0);
    });

    test("destroy leaves both directors to keepalived, as they were", async () => {
        await lab.sh(
            "lb1",
            "ip link set eth0 up; ip route replace default via 10.77.1.1; keepalived -f /etc/keepalived.conf",
        );
        await until("lb1 has the VIP", () => holdsVip("lb1"));
        await until("lb2 has given it back", async () => !(await holdsVip("lb2")));
        await stack.destroy();
        const [expected, found] = comparable(before, await snapshots(lab));
        expect(found).toEqual(expected);
        expect(await secretsShown(lab, stack)).toEqual([]);
    });
});
