/**
 * One jest project per kind of test. unit: pure parts; protocol: the provider process over gRPC and real SSH;
 * engine: the real Pulumi CLI; lab: real IPVS kernel and real packets.
 */
const project = (name) => ({
    displayName: name,
    rootDir: __dirname,
    testMatch: [`<rootDir>/test/${name}/**/*.test.ts`],
    // What takes minutes is for `npm run test:exhaustive` alone.
    testPathIgnorePatterns: [
        "/node_modules/",
        ...(process.env.LVS_EXHAUSTIVE === "1" ? [] : ["\\.exhaustive\\.test\\.ts$"]),
    ],
    testEnvironment: "node",
    globalSetup: "<rootDir>/tools/suite/global-setup.mjs",
    modulePathIgnorePatterns: ["<rootDir>/dist/"],
    transform: {
        "^.+\\.ts$": [
            "@swc/jest",
            { jsc: { parser: { syntax: "typescript" }, target: "es2022" }, module: { type: "commonjs" } },
        ],
    },
});

module.exports = {
    projects: ["unit", "protocol", "engine", "lab"].map(project),
    testTimeout: 600_000,
};
