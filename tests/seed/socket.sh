#!/bin/bash

# Helper function to communicate with Otto socket
otto_socket_send() {
    local cmd="$1"
    echo "$cmd" | nc -U -N "$OTTO_SOCKET" || echo "ERROR"
}

# Set data
otto_set() {
    local key="$1"
    local value="$2"
    otto_socket_send "SET $OTTO_TASK_NAME.$key \"$value\""
}

# Get data
otto_get() {
    local key="$1"
    otto_socket_send "GET $key" | jq -r .
}

# Example usage
otto_set "version" "1.2.3"
otto_set "status" "building"

# Get from another task
build_version=$(otto_get "build.version")
echo "build_version=$build_version"
