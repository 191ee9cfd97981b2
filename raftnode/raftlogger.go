package raftnode

import (
	"fmt"
	"log/slog"

	"go.etcd.io/raft/v3"
)

// raftLogger hands raft's own words to slog: what it calls info is our debug.
type raftLogger struct{ log *slog.Logger }

var _ raft.Logger = raftLogger{}

func (l raftLogger) Debug(v ...any)              {}
func (l raftLogger) Debugf(f string, v ...any)   { l.log.Debug("raft", "said", fmt.Sprintf(f, v...)) }
func (l raftLogger) Info(v ...any)               { l.log.Debug("raft", "said", fmt.Sprint(v...)) }
func (l raftLogger) Infof(f string, v ...any)    { l.log.Debug("raft", "said", fmt.Sprintf(f, v...)) }
func (l raftLogger) Warning(v ...any)            { l.log.Debug("raft", "said", fmt.Sprint(v...)) }
func (l raftLogger) Warningf(f string, v ...any) { l.log.Debug("raft", "said", fmt.Sprintf(f, v...)) }
func (l raftLogger) Error(v ...any)              { l.log.Warn("raft", "err", fmt.Sprint(v...)) }
func (l raftLogger) Errorf(f string, v ...any)   { l.log.Warn("raft", "err", fmt.Sprintf(f, v...)) }
func (l raftLogger) Fatal(v ...any)              { panic(fmt.Sprint(v...)) }
func (l raftLogger) Fatalf(f string, v ...any)   { panic(fmt.Sprintf(f, v...)) }
func (l raftLogger) Panic(v ...any)              { panic(fmt.Sprint(v...)) }
func (l raftLogger) Panicf(f string, v ...any)   { panic(fmt.Sprintf(f, v...)) }
