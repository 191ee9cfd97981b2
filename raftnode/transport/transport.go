// Package transport carries raft's frames and the streams of larger things between the
// boxes of a circle: over libp2p (Peers), and in memory for tests (Mesh).
package transport

import (
	"context"
	"errors"
	"io"
	"time"

	"redhen/provision/ident"
)

// MaxFrame is the largest frame that Send takes, in bytes: the largest raft entry
// (1 MiB) with room for what raft and raftnode put around it.
const MaxFrame = 1<<20 + 64<<10

// ErrUnreachable says that a box cannot be reached now.
var ErrUnreachable = errors.New("box not in reach")

// ErrNoService says that the box was reached, and does not offer the service.
var ErrNoService = errors.New("service not offered")

// ErrReset says that a stream ended before its time: reset by either side, or the link broke.
var ErrReset = errors.New("stream reset")

// Stream is one two-way flow of bytes to another box, authenticated and encrypted
// below. Any error but io.EOF and os.ErrDeadlineExceeded is final for both directions.
type Stream interface {
	io.Reader
	io.Writer
	// Close ends both directions: what was written still arrives, what arrives is dropped.
	Close() error
	// CloseWrite tells the other side that no more comes; its Read returns io.EOF.
	CloseWrite() error
	// Reset ends both directions at once, with an error at both ends.
	Reset() error
	SetDeadline(time.Time) error
	SetReadDeadline(time.Time) error
	SetWriteDeadline(time.Time) error
}

// Network is what one box sees of the others. Its methods may be called from any
// goroutine; Handle and Receive are called before the first frame or stream arrives.
type Network interface {
	// Send passes a frame of at most MaxFrame bytes to another box. It never blocks
	// and promises nothing: a frame may be lost, come twice or late. The frame is the
	// caller's again when Send returns.
	Send(to ident.BoxID, frame []byte)
	// Receive names the one function that gets the frames of others. It is called
	// from a few goroutines at most, one per sending box, and keeps the frame; while it runs,
	// later frames of that box wait or are lost.
	Receive(fn func(from ident.BoxID, frame []byte))
	// Dial opens a stream to a service of another box. ctx bounds the opening only.
	// That the service is not offered may also be found out at the first Read.
	Dial(ctx context.Context, to ident.BoxID, service string) (Stream, error)
	// Handle offers a service. fn runs in a goroutine of its own for every stream,
	// which is closed when fn returns; ctx ends with the network.
	Handle(service string, fn func(ctx context.Context, from ident.BoxID, s Stream))
}
