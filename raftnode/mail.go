package raftnode

import "sync"

// mail is an unbounded queue of work for one goroutine: put never blocks, so two
// goroutines that hand each other work cannot lock each other up. What is put in
// is bounded by who puts: raft's own flow control, one fsync batch, the callers.
type mail struct {
	mu    sync.Mutex
	work  []func()
	ready chan struct{} // holds a token while work is not empty
}

func newMail() *mail { return &mail{ready: make(chan struct{}, 1)} }

func (m *mail) put(f func()) {
	m.mu.Lock()
	m.work = append(m.work, f)
	m.mu.Unlock()
	select {
	case m.ready <- struct{}{}:
	default:
	}
}

// take returns everything put so far, in order.
func (m *mail) take() []func() {
	m.mu.Lock()
	defer m.mu.Unlock()
	work := m.work
	m.work = nil
	return work
}
