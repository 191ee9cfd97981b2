package exchange

import (
	"errors"
	"fmt"
	"time"

	"redhen/raftnode/chunk"
)

// maxRecord is the largest frame in bytes; chunks and files follow their records as plain bytes.
const maxRecord = 64 << 10

// maxName is the longest name of an offered file, in bytes.
const maxName = 255

// code is what came of a question. The numbers are part of the protocol.
type code uint8

const (
	codeDone    code = 1
	codeMissing code = 2 // the chunk or file is not here
	codeFull    code = 3
	codeContent code = 4 // the bytes are not those named
	codeFailed  code = 5
	codeBusy    code = 6
	codeWaiting code = 7 // not an answer: we are at it
)

// err returns the error that a code stands for.
func (c code) err() error {
	switch c {
	case codeDone:
		return nil
	case codeMissing:
		return chunk.ErrMissing
	case codeFull:
		return final{ErrFull}
	case codeContent:
		return ErrContent
	case codeFailed:
		return final{ErrRefused}
	case codeBusy:
		return ErrBusy
	}
	return final{fmt.Errorf("%w: code %d", errProtocol, c)}
}

// codeOf returns the code that tells of the chunk store's error.
func codeOf(err error) code {
	switch {
	case err == nil:
		return codeDone
	case errors.Is(err, chunk.ErrMissing), errors.Is(err, chunk.ErrDamaged):
		return codeMissing
	case errors.Is(err, chunk.ErrFull):
		return codeFull
	case errors.Is(err, chunk.ErrContent):
		return codeContent
	}
	return codeFailed
}

// question asks for chunks: in have whether they are there, to be kept for a time; in
// chunk-get for the bytes of one.
type question struct {
	Hashes []chunk.Hash `cbor:"1,keyasint"`
	Lease  int64        `cbor:"2,keyasint,omitempty"` // milliseconds
}

func (q question) validate() error {
	if len(q.Hashes) == 0 || len(q.Hashes) > batch {
		return fmt.Errorf("%w: question for %d chunks", errProtocol, len(q.Hashes))
	}
	if q.Lease < 0 || q.Lease > maxLease.Milliseconds() {
		return fmt.Errorf("%w: lease of %v ms", errProtocol, q.Lease)
	}
	return nil
}

// until returns when the lease ends.
func (q question) until(now time.Time) int64 { return now.UnixMilli() + q.Lease }

// answer tells what came of a question about the chunk or file. In chunk-get and file, Size
// bytes follow when the code is codeDone.
type answer struct {
	Code code       `cbor:"1,keyasint"`
	Hash chunk.Hash `cbor:"2,keyasint"`
	Size int64      `cbor:"3,keyasint,omitempty"`
	Have []bool     `cbor:"4,keyasint,omitempty"` // have: in the order of the question
}

func (a answer) validate() error {
	if a.Code == 0 || a.Size < 0 || len(a.Have) > batch {
		return fmt.Errorf("%w: answer with code %d, size %d", errProtocol, a.Code, a.Size)
	}
	return nil
}

// announcement precedes the bytes of a chunk in chunk-put.
type announcement struct {
	Hash chunk.Hash `cbor:"1,keyasint"`
	Size int64      `cbor:"2,keyasint"`
}

func (a announcement) validate() error {
	if a.Size <= 0 || a.Size > chunk.Size {
		return fmt.Errorf("%w: chunk of %d bytes", errProtocol, a.Size)
	}
	return nil
}

// fileQuestion asks for the bytes of a file from a position to its end.
type fileQuestion struct {
	Name string `cbor:"1,keyasint"`
	From int64  `cbor:"2,keyasint,omitempty"`
}

func (q fileQuestion) validate() error {
	if q.Name == "" || len(q.Name) > maxName || q.From < 0 {
		return fmt.Errorf("%w: file name of %d bytes, position %d", errProtocol, len(q.Name), q.From)
	}
	return nil
}
