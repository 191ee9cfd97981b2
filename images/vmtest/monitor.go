package vmtest

import (
	"bufio"
	"context"
	"fmt"
	"net"
	"path/filepath"
	"strings"
	"time"
)

// monitorPatience bounds one command of QEMU's monitor.
const monitorPatience = 30 * time.Second

func (m *Machine) socket() string { return filepath.Join(m.Dir, "monitor") }

// Order gives one command to QEMU's monitor, and returns what that says. A machine that
// has just been switched on has its monitor a moment later.
func (m *Machine) Order(command string) (string, error) {
	ctx, end := context.WithTimeout(context.Background(), monitorPatience)
	defer end()
	var c net.Conn
	err := m.Until(ctx, func() (there bool) {
		var err error
		c, err = net.Dial("unix", m.socket())
		return err == nil
	})
	if err != nil {
		return "", fmt.Errorf("monitor: %w", err)
	}
	defer c.Close()
	c.SetDeadline(time.Now().Add(monitorPatience))
	in := bufio.NewReader(c)
	if _, err := untilPrompt(in); err != nil {
		return "", fmt.Errorf("monitor: %w", err)
	}
	if _, err := fmt.Fprintln(c, command); err != nil {
		return "", fmt.Errorf("monitor: %w", err)
	}
	said, err := untilPrompt(in)
	if err != nil {
		return "", fmt.Errorf("monitor, %s: %w", command, err)
	}
	return said, nil
}

// untilPrompt reads what stands before the next prompt.
func untilPrompt(in *bufio.Reader) (string, error) {
	const prompt = "(qemu) "
	var said strings.Builder
	for !strings.HasSuffix(said.String(), prompt) {
		b, err := in.ReadByte()
		if err != nil {
			return said.String(), err
		}
		said.WriteByte(b)
	}
	return strings.TrimSuffix(said.String(), prompt), nil
}

// Unplug takes the network cable out, or puts it in again.
func (m *Machine) Unplug(out bool) error {
	state := "on"
	if out {
		state = "off"
	}
	_, err := m.Order("set_link net " + state)
	return err
}
