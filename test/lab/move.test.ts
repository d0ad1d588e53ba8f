/** Resources that get another name by an alias, or move to another stack: the host goes on as it was. */
import { join } from "node:path";
import * as lvs from "pulumi-lvs";
import { type Lab, startLab } from "../support/lab";
import { makeStack, type TestStack } from "../support/stack";

const VIP = "10.77.1.100";
const lb1 = { name: "lb1", connection: "alone", interface: "eth0" };

let lab: Lab;
let edge: TestStack;
let shop: TestStack;
/** Where the service is declared, and what its resources are called. */
const declared = { in: "edge", called: "web" };

const program = (stack: string) => async (): Promise<void> => {
    const director = stack === "edge" ? new lvs.Director("lb1", lb1) : lb1;
    if (declared.in !== stack) return;
    const { called } = declared;
    const aliased = (name: string) => (called === "web" ? {} : { aliases: [{ name }] });
    const service = new lvs.VirtualService(
        called,
        { director, protocol: "tcp", address: VIP, port: 80 },
        aliased("web"),
    );
    for (const n of [21, 22]) {
        new lvs.RealServer(`${called}${n}`, { service, address: `10.77.1.${n}` }, aliased(`web${n}`));
    }
};

/** What the kernel has. */
const kernel = () => lab.sh("alone", "ipvsadm -Sn; ip -o addr show eth0");
/** Who claims something on the host. */
const owners = async () =>
    (await lab.sh("alone", "sed -n 's/^owner //p' /var/lib/pulumi-lvs/*.claims")).trim().split("\n").sort();

beforeAll(async () => {
    lab = await startLab(join(__dirname, "one-host.json"));
    const config = { "lvs:hosts": lab.lvsHosts() };
    edge = await makeStack({ program: program("edge"), name: "edge", config });
    shop = await makeStack({ program: program("shop"), name: "shop", config, beside: edge });
    await edge.up();
});
afterAll(async () => {
    await edge?.remove();
    await lab?.down();
});

test("names that change with an alias are an update, which rewrites the ledger and nothing else", async () => {
    const before = await kernel();
    declared.called = "site";
    expect((await edge.up()).changes).toEqual({ update: 3 });
    expect(await kernel()).toBe(before);
    expect(await owners()).toEqual(
        ["Director/lb1", "RealServer/site21", "RealServer/site22", "VirtualService/site"].map(
            (each) => `organization/test/edge#${each}`,
        ),
    );
});

test("a service that moves to another stack with its real servers goes on as it was, and belongs to that stack", async () => {
    const before = await kernel();
    const { resources } = JSON.parse(edge.exported()).deployment as { resources: { urn: string }[] };
    const urns = resources.map(({ urn }) => urn).filter((urn) => /:(VirtualService|RealServer)::/.test(urn));
    expect(urns).toHaveLength(3);
    declared.in = "shop";
    edge.cli("state", "move", "--yes", "--source", "edge", "--dest", "shop", ...urns);
    expect((await shop.up()).changes).toMatchObject({ update: 3 });
    expect((await edge.up()).changes).toEqual({});
    expect(await kernel()).toBe(before);
    expect(await owners()).toEqual([
        "organization/test/edge#Director/lb1",
        ...["RealServer/site21", "RealServer/site22", "VirtualService/site"].map(
            (each) => `organization/test/shop#${each}`,
        ),
    ]);
    await shop.destroy();
    expect(await lab.sh("alone", "ipvsadm -Sn")).toBe("");
});
