/**
 * Where this package is linked (`file:`, `npm link`), its checkout has a copy of Pulumi's SDK of its own, and a resource
 * of that copy cannot be registered by the program's. The copy that runs the program, which was loaded first, is then
 * taken for ours too. To be imported before anything that imports `@pulumi/pulumi`.
 */
const PLACE = /^.*[\\/]node_modules[\\/]@pulumi[\\/]pulumi(?=[\\/])/;

const running = Object.keys(require.cache)
    .map((file) => PLACE.exec(file)?.[0])
    .find((place) => place !== undefined);

if (running !== undefined) {
    const theirs = require.resolve(running);
    const own = ownCopy();
    if (own !== undefined && own !== theirs && require.cache[own] === undefined) {
        require(theirs);
        require.cache[own] = require.cache[theirs];
    }
}

function ownCopy(): string | undefined {
    try {
        return require.resolve("@pulumi/pulumi");
    } catch {
        return undefined;
    }
}

export {};
