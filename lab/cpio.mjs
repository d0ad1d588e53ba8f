/**
 * Writer of "newc" cpio archives, the form in which a kernel takes its initrd. Written here because archives made by
 * tools need a directory tree on disk, and each boot brings a few small files of its own.
 *
 * @typedef {{ path: string, mode: number, data?: Buffer | string }} Entry  mode includes the file type bits
 */

const DIRECTORY = 0o040000;
const FILE = 0o100000;

/** @param {string} path @returns {Entry} */
export function directory(path, mode = 0o755) {
    return { path, mode: DIRECTORY | mode };
}

/** @param {string} path @param {Buffer | string} data @returns {Entry} */
export function file(path, data, mode = 0o644) {
    return { path, mode: FILE | mode, data };
}

/**
 * The archive of these entries, with every parent directory that they leave out. The kernel unpacks archives that
 * stand one after the other, so this can be appended to another.
 * @param {Entry[]} entries
 */
export function archive(entries) {
    const named = new Set(entries.map((entry) => entry.path));
    const parents = new Set();
    for (const { path } of entries) {
        const parts = path.split("/").slice(0, -1);
        for (let depth = 1; depth <= parts.length; depth++) {
            const parent = parts.slice(0, depth).join("/");
            if (!named.has(parent)) parents.add(parent);
        }
    }
    const all = [...[...parents].map((path) => directory(path)), ...entries];
    const pieces = all.map((entry, index) => record(entry, index + 1));
    return Buffer.concat([...pieces, record({ path: "TRAILER!!!", mode: 0 }, 0)]);
}

/** @param {Entry} entry @param {number} inode */
function record({ path, mode, data = "" }, inode) {
    const body = Buffer.from(data);
    const name = Buffer.from(`${path}\0`);
    const now = Math.floor(Date.now() / 1000);
    const links = mode & DIRECTORY && !(mode & FILE) ? 2 : 1;
    const fields = [inode, mode, 0, 0, links, now, body.length, 0, 0, 0, 0, name.length, 0];
    const header = Buffer.from(`070701${fields.map((field) => field.toString(16).padStart(8, "0")).join("")}`);
    return Buffer.concat([padded(Buffer.concat([header, name])), padded(body)]);
}

/** @param {Buffer} piece */
function padded(piece) {
    return Buffer.concat([piece, Buffer.alloc((4 - (piece.length % 4)) % 4)]);
}
