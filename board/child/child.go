// Package child runs a program of the system as a child of this one: it ends when the
// parent does, and what it says goes to the log.
package child

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"log/slog"
	"os/exec"
	"path/filepath"
	"runtime"
	"syscall"
	"time"
)

const (
	lastWords = 5 * time.Second // how long a child may take to end when it is asked to
	afterword = time.Second     // how long what it says may come after it, from children of its own
)

// Child is a program that runs.
type Child struct {
	cmd   *exec.Cmd
	ended chan struct{} // closed after err is set
	err   error
}

// Start starts a program. What it says is logged at the level of debugging; a nil
// logger drops it.
func Start(log *slog.Logger, program string, args ...string) (*Child, error) {
	if log == nil {
		log = slog.New(slog.DiscardHandler)
	}
	c := &Child{cmd: exec.Command(program, args...), ended: make(chan struct{})}
	r, w := io.Pipe()
	c.cmd.Stdout, c.cmd.Stderr, c.cmd.WaitDelay = w, w, afterword
	c.cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL, Setpgid: true}
	started := make(chan error)
	go func() { // ends with the child
		// The signal comes when the thread that started the child ends, so it stays.
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
		err := c.cmd.Start()
		started <- err
		if err != nil {
			return
		}
		c.err = c.cmd.Wait()
		c.signal(syscall.SIGKILL) // whom it left
		w.Close()
		close(c.ended)
	}()
	if err := <-started; err != nil {
		return nil, fmt.Errorf("start %s: %w", filepath.Base(program), err)
	}
	go tell(log, filepath.Base(program), r) // ends with the child
	return c, nil
}

// tell logs what a child says, line by line.
func tell(log *slog.Logger, program string, r io.Reader) {
	lines := bufio.NewScanner(r)
	for lines.Scan() {
		log.Debug(program, "says", lines.Text())
	}
	io.Copy(io.Discard, r) // a line that is too long ends the scanner, not the child
}

// Ended is closed when the child is gone.
func (c *Child) Ended() <-chan struct{} { return c.ended }

// Stop has the child end, and returns when it is gone. It may be called again.
func (c *Child) Stop() {
	for _, s := range []syscall.Signal{syscall.SIGTERM, syscall.SIGKILL} {
		select {
		case <-c.ended:
			return
		default:
		}
		c.signal(s)
		t := time.NewTimer(lastWords)
		select {
		case <-c.ended:
			t.Stop()
			return
		case <-t.C:
		}
	}
	<-c.ended
}

// signal goes to the child and its own children. It fails only when all are gone.
func (c *Child) signal(s syscall.Signal) { _ = syscall.Kill(-c.cmd.Process.Pid, s) }

// Keep runs a program until ctx ends, again after a pause each time that it ends.
func Keep(ctx context.Context, log *slog.Logger, pause time.Duration, program string, args ...string) error {
	for ctx.Err() == nil {
		c, err := Start(log, program, args...)
		if err != nil {
			return err
		}
		select {
		case <-ctx.Done():
			c.Stop()
			return nil
		case <-c.Ended():
		}
		t := time.NewTimer(pause)
		select {
		case <-ctx.Done():
		case <-t.C:
		}
		t.Stop()
	}
	return nil
}
