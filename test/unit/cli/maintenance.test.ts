import { connectionOf, Usage } from "../../../cli/host";
import { sortOut } from "../../../cli/maintenance";

test.each([
    ["192.0.2.21", { address: "192.0.2.21" }, []],
    ["192.0.2.21:80 lb1", { address: "192.0.2.21", port: 80 }, ["lb1"]],
    ["lb1 192.0.2.21 root@192.0.2.10:2222", { address: "192.0.2.21" }, ["lb1", "root@192.0.2.10:2222"]],
    ["root@[2001:db8::1]:22 2001:DB8::0:21", { address: "2001:db8::21" }, ["root@[2001:db8::1]:22"]],
    ["[2001:db8::21]:8080 lb1.example.com", { address: "2001:db8::21", port: 8080 }, ["lb1.example.com"]],
])("drain %s", (line, place, targets) => {
    expect(sortOut(line.split(" "))).toEqual({ place, targets });
});

test.each(["", "lb1", "web1:80", "192.0.2.21 192.0.2.22", "192.0.2.999", "192.0.2.21:99999", "192.0.2.0/24"])(
    "drain %s is refused",
    (line) => {
        expect(() => sortOut(line.split(" ").filter((word) => word !== ""))).toThrow(Usage);
    },
);

test.each([
    ["lb1", { host: "lb1", user: "root", port: 22 }],
    ["deploy@lb1.example.com:2222", { host: "lb1.example.com", user: "deploy", port: 2222 }],
    ["root@[2001:db8::1]:22", { host: "2001:db8::1", user: "root", port: 22 }],
    ["[2001:db8::1]", { host: "2001:db8::1", user: "root", port: 22 }],
])("a host %s", (word, connection) => {
    expect(connectionOf(word, { sudo: true })).toMatchObject({ ...connection, sudo: true, dialErrorLimit: 1 });
});

test.each(["2001:db8::1", "lb1:99999", "a@b@c", "lb1:", ""])("a host %j is refused", (word) => {
    expect(() => connectionOf(word, {})).toThrow(Usage);
});
