# shellcheck shell=bash
# otto.sh: the Otto IPC toolkit as bash functions, for bash 3.2 and newer.
#
#   source "$OTTO_SH"
#   otto_set version 1.2.3
#   otto_get -v version build.version
#
# Every function is a thin layer over the program of the same name and takes the
# same arguments; what it adds is said above it. Nothing outside otto_* and
# __otto_* is defined or changed: no traps, no options, no IFS.
#
# The backslashes keep aliases of the sourcing shell out of the functions; behind
# `\builtin local` a value that may have blanks in it wants its quotes.

if [ -z "${BASH_VERSION-}" ]; then
  echo 'otto.sh: this shell is not bash: run the script with bash 3.2 or newer' >&2
  # shellcheck disable=SC2317  # reached when the file is run, not sourced
  return 1 2>/dev/null || exit 1
fi
if [[ ${BASH_VERSINFO[0]} -lt 3 || (${BASH_VERSINFO[0]} -eq 3 && ${BASH_VERSINFO[1]} -lt 2) ]]; then
  \builtin printf 'otto.sh: bash %s is too old: 3.2 or newer is needed\n' "$BASH_VERSION" >&2
  # shellcheck disable=SC2317
  \builtin return 1 2>/dev/null || \builtin exit 1
fi
# A second source finds everything in place.
if \builtin declare -F __otto_store >/dev/null; then
  # shellcheck disable=SC2317
  \builtin return 0 2>/dev/null || \builtin exit 0
fi

# __otto_store PLACE PROGRAM ARGUMENTS: the word in this PLACE is the value, and may be long.
# An argument of a program cannot exceed 128 KiB on Linux. Characters are what
# bash counts, and one takes up to four bytes: this many always fit.
__otto_store() {
  \builtin local __otto_places="$1" __otto_program="$2" __otto_word __otto_value='' __otto_long='' \
    __otto_dashes='' __otto_taken='' __otto_left
  \builtin shift 2
  for __otto_word in "$@"; do
    [[ ${#__otto_word} -le 30000 ]] || __otto_long=1
  done
  if [[ -z $__otto_long ]]; then
    \command "$__otto_program" "$@"
    \builtin return
  fi
  # Turn the arguments round once, to change one without an array: an empty
  # array is an unset variable to `set -u` before bash 4.4.
  __otto_left=$#
  while [[ $__otto_left -gt 0 ]]; do
    __otto_word=$1
    if [[ -n $__otto_taken ]]; then
      __otto_taken=''
    elif [[ -z $__otto_dashes && $__otto_word == -- ]]; then
      __otto_dashes=1
    elif [[ -z $__otto_dashes && $__otto_word == -?* && $__otto_word != -[0-9.]* ]]; then
      # These take what follows them.
      case $__otto_word in --via | --if-rev | --ttl | --dataset) __otto_taken=1 ;; esac
    else
      __otto_places=$((__otto_places - 1))
      if [[ $__otto_places -ne 0 || ${#__otto_word} -le 30000 ]]; then
        \builtin :
      elif [[ -z $__otto_dashes && $__otto_word == @* ]]; then
        # The name of a file. No name is as long as what is left of it.
        __otto_word=${__otto_word:0:30000}
      else
        __otto_value=$__otto_word __otto_word=-
      fi
    fi
    \builtin set -- "$@" "$__otto_word"
    \builtin shift
    __otto_left=$((__otto_left - 1))
  done
  if [[ -z $__otto_value ]]; then
    \command "$__otto_program" "$@"
    \builtin return
  fi
  # The variable has the program take `-` for standard input behind a `--` as well. A program that
  # refuses its arguments reads nothing; it says why, and that is all there is to say.
  \builtin printf '%s' "$__otto_value" 2>/dev/null |
    OTTO_VALUE_ON_STDIN=1 \command "$__otto_program" "$@"
}

# __otto_variable FUNCTION NAME: may NAME be assigned to?
__otto_variable() {
  case $2 in
    '' | [0-9]* | *[!A-Za-z0-9_]* | __otto_*)
      \builtin printf "%s: -v: '%s' is not a variable's name\n" "$1" "$2" >&2
      \builtin return 2
      ;;
  esac
}

# __otto_fetch FUNCTION [-v VAR] ARGUMENTS: otto-get, printed or assigned.
__otto_fetch() {
  \builtin local __otto_function="$1" __otto_name __otto_text __otto_word __otto_taken='' __otto_bare=''
  \builtin shift
  if [[ ${1-} != -v ]]; then
    \command otto-get "$@"
    \builtin return
  fi
  __otto_name=${2-}
  __otto_variable "$__otto_function" "$__otto_name" || \builtin return
  \builtin shift 2
  # Without a line end of the program's own; a second -n it would refuse.
  for __otto_word in "$@"; do
    if [[ -n $__otto_taken ]]; then
      __otto_taken=''
      \builtin continue
    fi
    case $__otto_word in
      --) \builtin break ;;
      --via | --default | --timeout) __otto_taken=1 ;;
      -n) __otto_bare=1 ;;
    esac
  done
  if [[ -z $__otto_bare ]]; then
    \builtin set -- -n "$@"
  fi
  # The x keeps line ends at the end of a value from being stripped.
  __otto_text=$(\command otto-get "$@" && \builtin printf x) || \builtin return
  \builtin printf -v "$__otto_name" '%s' "${__otto_text%x}"
}

# otto_set [-g] [--json] [--via T] [--if-absent | --if-rev N] [--ttl S] KEY VALUE|-|@FILE
# A value of any size: a long one goes through standard input.
otto_set() { __otto_store 2 otto-set "$@"; }

# otto_append [--json] KEY VALUE|-|@FILE: adds VALUE to the end of the list under KEY,
# which is the full key, as everywhere but in otto_set.
otto_append() { __otto_store 2 otto-set --global --append "$@"; }

# otto_publish [--json] CHANNEL VALUE|-|@FILE: tells subscribers; nothing is stored.
otto_publish() { __otto_store 2 otto-publish "$@"; }

# otto_get [-v VAR] [--json] [--default V] [--wait] [--timeout S] [--rev] KEY
# With -v, which comes first, the value is assigned to VAR exactly as it was
# stored (a variable cannot hold a NUL character). On failure VAR is untouched.
otto_get() { __otto_fetch otto_get "$@"; }

# otto_wait [-v VAR] [--timeout S] KEY: otto_get that waits until there is a value.
otto_wait() {
  if [[ ${1-} == -v && $# -ge 2 ]]; then
    __otto_fetch otto_wait -v "$2" --wait "${@:3}"
  else
    __otto_fetch otto_wait --wait "$@"
  fi
}

# otto_list [--json] [PATTERN]
otto_list() { \command otto-list "$@"; }

# otto_delete KEY
otto_delete() { \command otto-delete "$@"; }

# otto_incr KEY [BY]: prints the new number.
otto_incr() { \command otto-incr "$@"; }

# otto_subscribe PATTERN [--from start|now|SEQ] [--count N] [--timeout S] [--exec COMMAND]
# An event a line.
otto_subscribe() { \command otto-subscribe "$@"; }

# otto_barrier NAME COUNT [--timeout S]: waits until COUNT have come.
otto_barrier() { \command otto-barrier "$@"; }

# otto_cancel [--run ID] [TASK]: has a task ended, or the whole run.
otto_cancel() { \command otto-cancel "$@"; }

# __otto_lives PID: whether there is that process; a zombie is none.
__otto_lives() {
  \builtin local __otto_stat=''
  { IFS= \builtin read -r __otto_stat <"/proc/$1/stat"; } 2>/dev/null && [[ $__otto_stat != *') Z '* ]]
}

# __otto_released PID: waits a moment until the process is gone.
__otto_released() {
  \builtin local __otto_tries=0
  while [[ $__otto_tries -lt 5000 ]] && __otto_lives "$1"; do
    __otto_tries=$((__otto_tries + 1))
  done
}

# __otto_lost NAME [-n SLOTS] [--timeout S], as in otto_lock, whose lock it was.
__otto_lost() {
  \builtin local __otto_word __otto_taken=''
  for __otto_word in "$@"; do
    case $__otto_taken$__otto_word in
      -n | --slots | --timeout) __otto_taken=' ' ;;
      -*) ;;
      ' '*) __otto_taken='' ;;
      *) \builtin break ;;
    esac
  done
  \builtin printf 'otto_lock: the lock %s was lost while the command ran: %s\n' "$__otto_word" \
    'the server has gone, or the process that held the lock' >&2
}

# A `return` for a command leaves this function and not the one that holds the lock.
__otto_holding() { "$@"; }

# otto_lock NAME [-n SLOTS] [--timeout S] -- COMMAND [ARGUMENT...]
# Runs COMMAND, which may be a function or a builtin, in this very shell while it
# holds the lock, with the lock's number in OTTO_LOCK_TOKEN; returns COMMAND's
# status. Status 4: not had in time. When the lock was lost meanwhile, as with its server,
# a line says so in the end. Whatever ends the shell frees the lock: so does
# `set -e` when COMMAND fails. (Before bash 4, in a subshell: the end of the script.)
# Without a `--` it is otto-lock itself, as in `otto_lock --who`.
otto_lock() {
  \builtin local __otto_owner="${BASHPID-$$}" __otto_words=0 __otto_held __otto_word
  for __otto_word in "$@"; do
    [[ $__otto_word != -- ]] || \builtin break
    __otto_words=$((__otto_words + 1))
  done
  if [[ $__otto_words -eq $# ]]; then
    \command otto-lock "$@"
    \builtin return
  fi
  if [[ $((__otto_words + 1)) -eq $# ]]; then
    \builtin printf '%s\n' 'otto_lock: no command after --: usage: otto_lock NAME -- COMMAND' >&2
    \builtin return 2
  fi
  # A program holds it through otto-lock, which also gives it back after Ctrl-C at a prompt.
  if [[ $(\builtin type -t -- "${@:__otto_words + 2:1}") == file ]]; then
    \command otto-lock "$@"
    \builtin return
  fi
  # TOKEN HOLDER: the lock's number, and the process that holds it as long as this one lives.
  __otto_held=$(\command otto-lock "${@:1:__otto_words}" --hold "$__otto_owner") || \builtin return
  # shellcheck disable=SC2034  # COMMAND reads it
  \builtin local -x OTTO_LOCK_TOKEN="${__otto_held%% *}"
  # Not in a condition, which would switch `set -e` off inside of a function.
  __otto_holding "${@:__otto_words + 2}"
  \builtin set -- "$?" "${__otto_held##* }" "${@:1:__otto_words}"
  if __otto_lives "$2"; then
    \builtin kill "$2" 2>/dev/null || \builtin :
    __otto_released "$2"
  else
    __otto_lost "${@:3}"
  fi
  \builtin return "$1"
}

# otto_progress CURRENT TOTAL [MESSAGE] [--id NAME]
# In a run an update is one line into a FIFO, without a process, so that a loop may
# report every step. What is not plainly right, and a message of more than 200
# characters, takes the program, which also says what is wrong.
otto_progress() {
  if [[ $# -gt 3 && $1 == --id ]]; then
    \builtin set -- "${@:3}" --id "$2"
  fi
  \builtin local __otto_fifo="${OTTO_RUN_DIR-}/progress" __otto_id='' __otto_text=''
  case $# in
    2) ;;
    3) __otto_text=$3 ;;
    4) if [[ $3 == --id ]]; then __otto_id=$4; else __otto_text=-; fi ;;
    5) if [[ $4 == --id ]]; then __otto_text=$3 __otto_id=$5; else __otto_text=-; fi ;;
    *) __otto_text=- ;;
  esac
  # Opened for both, the FIFO never keeps anybody waiting; so somebody has to be there to read.
  # Not `kill -0`, whose complaint would cost as much again to silence.
  if [[ -z ${1-} || $1 == *[!0123456789]* || -z ${2-} || $2 == *[!0123456789]* && $2 != - ||
    $__otto_text == -* || -z ${OTTO_RUN_ID-} || ${OTTO_SOCKET-} != "${OTTO_RUN_DIR-}"/* ||
    ! -p $__otto_fifo || ! -e /proc/$OTTO_RUN_ID ]]; then
    \command otto-progress "$@"
    \builtin return
  fi
  if [[ $__otto_text == *[$'\t\n']* ]]; then
    __otto_text=${__otto_text//[$'\t\n']/ }
  fi
  __otto_text=${OTTO_TASK_NAME:-${OTTO_TASK-}}$'\t'$__otto_id$'\t'$1$'\t'$2$'\t'$__otto_text
  # The lines of several writers stay whole while each is one write. All of bash's versions
  # write 1,000 bytes at once, and a character has up to four.
  if [[ ${#__otto_text} -gt 248 || $__otto_id == *[$'\t\n']* ]]; then
    \command otto-progress "$@"
    \builtin return
  fi
  \builtin printf '%s\n' "$__otto_text" 1<>"$__otto_fifo" || \command otto-progress "$@"
}

# otto_mmap_read TASK [KEY] [--json] [--wait [--timeout S]]
# otto_mmap_read --dataset NAME [--output FILE] | --list [--json] | --stat NAME
otto_mmap_read() { \command otto-mmap-read "$@"; }

# otto_mmap_write TASK KEY VALUE|-|@FILE [--json]: a value of any size.
# otto_mmap_write --dataset NAME [FILE|-] [--spill] | --remove TASK | --remove --dataset NAME
otto_mmap_write() { __otto_store 3 otto-mmap-write "$@"; }

# otto_send RECORD...: each a line into this task's stream, without a process.
# Without a record, standard input is sent. Status 3: this task has no stream; 1:
# all readers have gone. That ends a script by SIGPIPE, as it does any program
# that writes into a pipe, and otto-run counts it as success; a script that wants
# to go on says `trap '' PIPE` and looks at the status.
otto_send() {
  \builtin local __otto_record
  if [[ $# -eq 0 ]]; then
    \command otto-pipe write
    \builtin return
  fi
  if [[ -z ${OTTO_OUTPUT_PIPE-} ]]; then
    \builtin printf '%s\n' \
      'otto_send: OTTO_OUTPUT_PIPE is not set: give the task "streaming: true" in otto.yml' >&2
    \builtin return 3
  fi
  for __otto_record in "$@"; do
    if [[ $__otto_record == *$'\n'* ]]; then
      \builtin printf 'otto_send: a record is one line, this one has a line end in it: %.40q\n' \
        "$__otto_record" >&2
      \builtin return 2
    fi
  done
  if [[ ! -w $OTTO_OUTPUT_PIPE ]]; then
    \builtin printf 'otto_send: %s: cannot be written: has its run ended?\n' "$OTTO_OUTPUT_PIPE" >&2
    \builtin return 3
  fi
  # Appending never truncates, whatever somebody let the variable name.
  if { \builtin printf '%s\n' "$@" >>"$OTTO_OUTPUT_PIPE"; } 2>/dev/null; then
    \builtin return 0
  fi
  if [[ -p $OTTO_OUTPUT_PIPE ]]; then
    \builtin printf 'otto_send: %s: all readers have gone\n' "$OTTO_OUTPUT_PIPE" >&2
  else
    \builtin printf 'otto_send: %s: could not be written\n' "$OTTO_OUTPUT_PIPE" >&2
  fi
  \builtin return 1
}

# otto_recv [-v VAR]: the next record of the streams this task reads, printed or
# assigned as it is. A record is what stands before a line feed; the last line may
# lack its own. Status 1 at the end of the stream, as of `read`; 6, with a line
# that names it, when a producer failed and this is no end; 3: no stream.
#   while otto_recv -v item || { end=$?; false; }; do ...; done
#   [[ $end -eq 1 ]] # the whole stream was there
otto_recv() {
  \builtin local __otto_name='' __otto_text='' __otto_producer=''
  if [[ ${1-} == -v ]]; then
    __otto_name=${2-}
    __otto_variable otto_recv "$__otto_name" || \builtin return
    \builtin shift 2
  fi
  if [[ $# -ne 0 ]]; then
    \builtin printf "otto_recv: '%s' was not expected: usage: otto_recv [-v VAR]\n" "$1" >&2
    \builtin return 2
  fi
  if [[ -z ${OTTO_INPUT_PIPE-} ]]; then
    \builtin printf '%s\n' \
      'otto_recv: OTTO_INPUT_PIPE is not set: name a streaming task in "before" in otto.yml' >&2
    \builtin return 3
  fi
  if [[ ! -r $OTTO_INPUT_PIPE ]]; then
    \builtin printf 'otto_recv: %s: cannot be read: has its run ended?\n' "$OTTO_INPUT_PIPE" >&2
    \builtin return 3
  fi
  # otto-run ends the stream of a failed producer only for those that say, before
  # they read, that they look what kind of end it is.
  if [[ -n ${OTTO_RUN_DIR-} && $OTTO_INPUT_PIPE == "$OTTO_RUN_DIR"/* &&
    ! -e $OTTO_INPUT_PIPE.checked ]]; then
    { \builtin : >>"$OTTO_INPUT_PIPE.checked"; } 2>/dev/null || \builtin :
  fi
  # A last line may lack its newline: read fails then, with the line in hand. One
  # that a failed producer did not complete is no record.
  if ! IFS= \builtin read -r __otto_text <"$OTTO_INPUT_PIPE"; then
    if [[ -e $OTTO_INPUT_PIPE.failed ]]; then
      IFS= \builtin read -r __otto_producer <"$OTTO_INPUT_PIPE.failed" || \builtin :
      \builtin printf 'otto_recv: the producer %s failed: its stream broke off\n' \
        "$__otto_producer" >&2
      \builtin return 6
    fi
    if [[ -z $__otto_text ]]; then
      \builtin return 1
    fi
  fi
  if [[ -n $__otto_name ]]; then
    \builtin printf -v "$__otto_name" '%s' "$__otto_text"
  else
    \builtin printf '%s\n' "$__otto_text"
  fi
}
