package vfstest

import "path"

// dirOp is one change of names: a creation (no from), a removal (no to) or a rename.
type dirOp struct {
	from, to     string
	node         *inode
	fromOK, toOK bool // that directory was synced since
}

// change does op to the names that programs see, and remembers it as not durable.
func (d *Disk) change(op dirOp) {
	op.fromOK, op.toOK = op.from == "", op.to == ""
	if gone := d.files[op.to]; gone != nil && gone != op.node {
		d.used -= gone.allocated() * Sector
	}
	if op.to == "" {
		d.used -= op.node.allocated() * Sector
	}
	op.apply(d.files)
	d.pending = append(d.pending, op)
}

// apply does the change to a set of names. A rename or removal of a file that the
// set does not have is no change.
func (o dirOp) apply(names map[string]*inode) {
	if o.from != "" {
		if names[o.from] != o.node {
			return
		}
		delete(names, o.from)
	}
	if o.to != "" {
		names[o.to] = o.node
	}
}

// syncNames makes the changes in dir durable. A rename between two directories
// is durable when both were synced. Order among the durable ones is kept.
func (d *Disk) syncNames(dir string) {
	var rest []dirOp
	for _, op := range d.pending {
		op.fromOK = op.fromOK || path.Dir(op.from) == dir
		op.toOK = op.toOK || path.Dir(op.to) == dir
		if op.fromOK && op.toOK {
			op.apply(d.durable)
		} else {
			rest = append(rest, op)
		}
	}
	d.pending = rest
}

// settleNames lets a power cut keep any subset of the changes not synced.
func (d *Disk) settleNames() {
	for _, op := range d.pending {
		if d.rng.IntN(2) == 0 {
			op.apply(d.durable)
		}
	}
	d.pending = nil
	clear(d.files)
	for name, n := range d.durable {
		d.files[name] = n
	}
}
