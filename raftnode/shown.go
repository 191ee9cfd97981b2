package raftnode

import (
	"slices"
	"sync"

	"redhen/raftnode/catalog"
	"redhen/raftnode/kv"
)

// shown is what readers here see above a replica's state: the writes of this box
// that the state may not have yet, applied once and kept until something changes. Its
// methods are safe for concurrent use.
type shown struct {
	mu      sync.Mutex // guards what follows
	rep     *replica
	applied uint64          // the state's, when it was made
	writes  []catalog.Write // applied in this order
	layer   *kv.Layer       // its base is read only while it is made
	whole   bool            // every write found what it builds on
}

// over returns a layer with the writes above the state r of rep at applied. What was
// made before is used as far as it goes: while the other houses are away, one more
// write costs one more step.
func (c *shown) over(rep *replica, r kv.Reader, applied uint64, ws []catalog.Write) (*kv.Layer, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.begins(rep, applied, ws) {
		c.rep, c.applied, c.writes, c.layer, c.whole = rep, applied, nil, kv.NewLayer(r), true
	}
	layer := c.layer.Over(r)
	if more := ws[len(c.writes):]; len(more) > 0 {
		left, err := overlay(layer, applied+uint64(len(c.writes)), more)
		if err != nil {
			c.layer, c.whole = nil, false
			return nil, err
		}
		c.writes, c.whole, c.layer = ws, left == 0, layer
		layer = layer.Over(r) // its own copy: others read it, too
	}
	return layer, nil
}

// forget frees what was made.
func (c *shown) forget() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.layer, c.writes = nil, nil
}

// begins reports whether ws go on where the layer ends, above the same state.
func (c *shown) begins(rep *replica, applied uint64, ws []catalog.Write) bool {
	if c.layer == nil || c.rep != rep || c.applied != applied || len(ws) < len(c.writes) ||
		len(ws) > len(c.writes) && !c.whole {
		return false
	}
	if len(c.writes) == 0 || &ws[0] == &c.writes[0] {
		return true
	}
	return slices.EqualFunc(c.writes, ws[:len(c.writes)], func(a, b catalog.Write) bool { return a.ID == b.ID })
}
